"""Computes in single precision."""

LOSES = ["test_block_influence"]
PATCHES = {
    "block_influence": {
        "torch.cat(before).double(), torch.cat(after).double()": (
            "torch.cat(before).float(), torch.cat(after).float()"
        ),
    },
}
