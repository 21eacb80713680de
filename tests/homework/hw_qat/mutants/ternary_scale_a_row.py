"""Has a scale for each row."""

LOSES = ["test_ternary"]
PATCHES = {
    "ternary": {
        "w / scale": "w / w.abs().mean(1, keepdim=True).clamp(min=1e-30)",
    },
}
