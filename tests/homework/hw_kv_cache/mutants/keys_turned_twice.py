"""Turns all keys of the cache in each step, those that are turned already too."""

LOSES = ["test_cached_attention"]
PATCHES = {
    "cached_attention": {
        "keys[rows, positions] = rotate(k, positions, base)": (
            "keys[rows, positions] = k\n"
            "    everywhere = torch.arange(keys.shape[1]).expand(n, -1)\n"
            "    keys = rotate(keys, everywhere, base)"
        ),
    },
}
