"""Confuses the step with its reciprocal, and divides."""

LOSES = ["test_dequantize"]


def dequantize(codes, scale, zero):
    return (codes.to(torch.int32) - zero) / scale
