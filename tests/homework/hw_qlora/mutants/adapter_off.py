"""Runs the frozen weight alone."""

LOSES = ["test_qlora", "test_smollm2"]
PATCHES = {
    "qlora_forward": {
        "a, b, alpha": "a, 0 * b, alpha",
    },
}
