"""Each kept weight with its row and its column."""

LOSES = ["test_bytes"]
PATCHES = {
    "stored_bytes": {
        "4 * (rows + 1) + 2 * k": "4 * k",
    },
}
