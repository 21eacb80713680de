"""Clips each group for the least squared error of the weights alone."""

LOSES = ["test_smollm2_layer"]


def smollm2_layer(weight):
    return clip_weight(weight, 4, 64, [1.0, 0.9, 0.8, 0.7])
