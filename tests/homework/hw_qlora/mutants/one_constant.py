"""Has one constant for the whole matrix."""

LOSES = ["test_changed_codes"]
PATCHES = {
    "changed_codes": {
        "split(block)": "split(weight.numel())",
    },
}
