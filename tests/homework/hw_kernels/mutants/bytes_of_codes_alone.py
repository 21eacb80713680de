"""Forgets that a step and a zero point come with each group."""

LOSES = ["test_least_time"]


def least_time(tokens: int, rows: int, cols: int, group: int) -> tuple[int, float]:
    weight = rows * -(-cols // 2)
    size = weight + 2 * tokens * cols + 4 * tokens * rows
    return size, max(size / BANDWIDTH, 2 * tokens * rows * cols / PEAK)
