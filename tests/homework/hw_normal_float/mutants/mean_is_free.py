"""Forgets that the mean is stored too."""

LOSES = ["test_stored_bits"]


def stored_bits(count, block, nested):
    codes, blocks = 8 * -(-count // 2), -(-count // block)
    if nested is None:
        return codes + 32 * blocks
    return codes + 8 * blocks + 32 * -(-blocks // nested)
