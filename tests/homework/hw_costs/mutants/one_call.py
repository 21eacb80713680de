"""Bills one call."""

LOSES = ["test_bill"]
PATCHES = {
    "bill": {
        "calls * call": "call",
    },
}
