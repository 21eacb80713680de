"""Takes the largest weight, not the largest magnitude, as a block's constant."""

LOSES = ["test_quantize_blocks", "test_double_quantize"]
PATCHES = {
    "quantize_blocks": {
        "runs.abs()": "runs",
    },
}
