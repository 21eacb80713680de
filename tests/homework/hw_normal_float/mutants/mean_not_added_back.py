"""Forgets to add the mean again."""

LOSES = ["test_double_dequantize"]


def double_dequantize(codes, seconds, mean, levels, nested):
    return dequantize_blocks(codes, seconds, levels, nested)
