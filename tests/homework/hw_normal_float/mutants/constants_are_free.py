"""Counts four bits a weight and forgets the constants."""

LOSES = ["test_stored_bits"]


def stored_bits(count, block, nested):
    return 8 * -(-count // 2)
