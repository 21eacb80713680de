"""Returns the mean of the weights that stay."""

LOSES = ["test_ternary"]
PATCHES = {
    "ternary": {
        "return trits.clamp(-1, 1).to(torch.int8), gamma": (
            "kept = w.abs()[trits != 0]\n"
            "    gamma = kept.mean() if len(kept) else gamma\n"
            "    return trits.clamp(-1, 1).to(torch.int8), gamma"
        ),
    },
}
