"""Takes the largest weight, not the largest magnitude, as a block's constant."""

LOSES = ["test_quantize_blocks"]
PATCHES = {
    "quantize_blocks": {
        "runs.abs()": "runs",
    },
}
