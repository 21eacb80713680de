"""Writes new tokens behind the room, as torch.cat does, and not behind each row."""

LOSES = ["test_cached_attention"]
PATCHES = {
    "cached_attention": {
        "keys[rows, positions] = rotate(k, positions, base)": (
            "keys = torch.cat((keys, rotate(k, positions, base)), 1)"
        ),
        "values[rows, positions] = v": "values = torch.cat((values, v), 1)",
    },
}
