"""Sends out the page that was used most recently."""

LOSES = ["test_touch"]
PATCHES = {
    "touch": {
        "others[:leaving]]": "others[len(others) - leaving :]]",
        "others[leaving:]": "others[: len(others) - leaving]",
    },
}
