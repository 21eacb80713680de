"""Reads the lower half as if it had no sign."""

LOSES = ["bonus_masters"]
PATCHES = {
    "join_master": {
        "low.to(torch.int32)": "(low.to(torch.int32) & 0xFFFF)",
    },
}
