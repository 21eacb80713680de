"""Makes 16 rows a program: a thread gets 8 bytes at a time."""

LOSES = ["bonus_fast"]


def rows_of_a_program() -> int:
    return 16
