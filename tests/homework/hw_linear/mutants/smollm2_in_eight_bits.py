"""Keeps 8-bit codes where 4 bits are allowed."""

LOSES = ["test_smollm2_layer"]


def smollm2_layer(weight):
    return quantize_weight(weight, 8, 64)
