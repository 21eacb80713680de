"""Repeats the list of constants instead of each constant."""

LOSES = ["test_dequantize_blocks", "test_double_dequantize"]


def dequantize_blocks(codes, constants, levels, block):
    each = constants.repeat(block)[: codes.numel()]
    return levels[codes.long()] * each.view(codes.shape)
