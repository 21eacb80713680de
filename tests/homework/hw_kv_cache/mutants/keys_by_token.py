"""Rounds keys along the channels, where a few are far larger than all others."""

LOSES = ["bonus_quantize_cache"]
PATCHES = {
    "quantize_cache": {
        "    return torch.cat((by_channel, keys[whole:])), rounded(values)": (
            "    return rounded(keys), rounded(values)"
        ),
        (
            "    whole = len(keys) // group * group\n"
            "    by_channel = rounded(keys[:whole].permute(1, 2, "
            "0)).permute(2, 0, 1)\n"
        ): "",
    },
}
