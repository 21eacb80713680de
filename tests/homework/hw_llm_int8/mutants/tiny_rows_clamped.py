"""Divides by at least 1e-5, so that a row of tiny numbers becomes zeros."""

LOSES = ["test_quantize_rows"]
PATCHES = {
    "quantize_rows": {
        "torch.where(constants > 0, constants, 1.0)": "constants.clamp(min=1e-5)",
    },
}
