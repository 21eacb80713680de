"""Gives both requests the same list."""

LOSES = ["test_fork"]
PATCHES = {
    "fork": {
        "other: list(table)": "other: table",
    },
}
