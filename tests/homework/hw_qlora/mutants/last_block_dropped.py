"""Leaves a short last block out."""

LOSES = ["test_changed_codes"]
PATCHES = {
    "changed_codes": {
        "weight.flatten().split(block)": (
            "weight.flatten()[: max(block, weight.numel() // block "
            "* block)].split(block)"
        ),
    },
}
