"""Counts 2^b steps, one more than there are."""

LOSES = ["test_bits_for"]


def bits_for(low, high, tolerance):
    return max(1, math.ceil(math.log2(max(1, (high - low) / (2 * tolerance)))))
