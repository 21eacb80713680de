"""rows starts; the last one's end is nowhere."""

LOSES = ["test_bytes"]
PATCHES = {
    "stored_bytes": {
        "(rows + 1)": "rows",
    },
}
