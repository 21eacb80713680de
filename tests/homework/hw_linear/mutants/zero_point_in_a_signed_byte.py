"""Keeps the zero point in an int8, which ends at 127."""

LOSES = ["test_zero_point_quantize"]
PATCHES = {
    "zero_point_quantize": {
        "zero.to(torch.int32)": "zero.to(torch.int32).to(torch.int8)"
    }
}
