"""Rounds values along the tokens, where the first one has far smaller ones."""

LOSES = ["bonus_quantize_cache"]
PATCHES = {
    "quantize_cache": {
        "rounded(values)": "values_too",
        "    by_channel =": (
            "    turned = values[:whole].permute(1, 2, 0)\n"
            "    values_too = torch.cat((rounded(turned).permute(2, 0, 1), "
            "values[whole:]))\n"
            "    by_channel ="
        ),
    },
}
