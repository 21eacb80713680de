"""Returns the copy of the weights before the step."""

LOSES = ["test_mixed_step", "test_smollm2"]
PATCHES = {
    "mixed_step": {
        "[w.half() for w in new]": "[w.half() for w in master]",
    },
}
