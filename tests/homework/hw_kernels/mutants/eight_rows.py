"""Gives the matrix unit eight rows, which the compiler refuses."""

LOSES = ["bonus_fast"]
PATCHES = {
    "rows_of_a_program": {
        "return 32": "return 8",
    },
}
