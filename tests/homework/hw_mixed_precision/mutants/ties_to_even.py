"""Rounds ties to even: two numbers share a pair."""

LOSES = ["bonus_masters"]
PATCHES = {
    "split_master": {
        "upper = (bits + 0x8000) >> 16": (
            "upper = w.bfloat16().view(torch.int16).to(torch.int32)"
        ),
    },
}
