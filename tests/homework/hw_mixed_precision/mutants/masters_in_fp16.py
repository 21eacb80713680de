"""Steps from the working copy: updates smaller than half a gap are lost."""

LOSES = ["test_mixed_step", "test_smollm2"]
PATCHES = {
    "mixed_step": {
        "w - rate": "w.half().float() - rate",
    },
}
