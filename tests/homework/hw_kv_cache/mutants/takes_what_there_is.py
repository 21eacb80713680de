"""Takes the free blocks that there are, where too few are free."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        "copied + more > len(free)": "copied > len(free)",
        "    slots = [": (
            "    count = min(count, len(table) * size - length)\n"
            "    places = range(length, length + count)\n"
            "    slots = ["
        ),
    },
}
