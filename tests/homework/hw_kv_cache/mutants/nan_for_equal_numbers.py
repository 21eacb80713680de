"""Divides by a step of 0 where all numbers are equal."""

LOSES = ["bonus_quantize_cache"]
PATCHES = {
    "quantize_cache": {
        "torch.where(step > 0, step, 1.0)": "step",
    },
}
