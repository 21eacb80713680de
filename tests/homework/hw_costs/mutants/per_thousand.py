"""Takes the prices for those of a thousand tokens."""

LOSES = ["test_bill"]
PATCHES = {
    "bill": {
        "/ 1e6": "/ 1e3",
    },
}
