"""Rounds each call, as the slide does: $0.0003."""

LOSES = ["test_bill"]
PATCHES = {
    "bill": {
        "calls * call / 1e6": "calls * round(call / 1e6, 4)",
    },
}
