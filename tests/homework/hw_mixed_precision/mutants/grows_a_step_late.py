"""Waits for one good step more than the interval."""

LOSES = ["test_next_scale", "test_smollm2"]
PATCHES = {
    "next_scale": {
        "streak + 1 < interval": "streak < interval",
    },
}
