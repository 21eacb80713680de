"""Makes 128 rows, and no more than those."""

LOSES = ["bonus_fast"]
PATCHES = {
    "rows_of_a_program": {
        "return 32": "return 128",
    },
    "fast": {
        "tl.program_id(0) * ROWS + ": "",
    },
}
