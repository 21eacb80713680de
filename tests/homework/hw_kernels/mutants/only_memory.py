"""Takes the memory for the only wall."""

LOSES = ["test_least_time"]


def least_time(tokens: int, rows: int, cols: int, group: int) -> tuple[int, float]:
    weight = rows * (-(-cols // 2) + 3 * -(-cols // group))
    size = weight + 2 * tokens * cols + 4 * tokens * rows
    return size, size / BANDWIDTH
