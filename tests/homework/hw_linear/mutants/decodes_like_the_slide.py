"""Decodes with s c - z: subtracts the zero point after scaling."""

LOSES = ["test_dequantize"]


def dequantize(codes, scale, zero):
    return scale * codes.to(torch.int32) - zero
