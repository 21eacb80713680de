"""Writes pack alone, which earns its half."""

LOSES = ["test_unpack"]


def unpack(packed, count, signed):
    raise NotImplementedError
