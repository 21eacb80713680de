"""Widens with .to, which is the argument itself where that is wide already."""

LOSES = ["test_dequantize"]


def dequantize(codes, scale, zero):
    codes = codes.to(torch.int32)
    codes -= zero
    return scale * codes
