"""Takes twice the scale where the largest comes to 448."""

LOSES = ["test_quantize_tiles"]
PATCHES = {
    "quantize_tiles": {
        "e - 1 if f == 0.5 else e": "e",
    },
}
