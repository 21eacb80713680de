"""Counts readers in the list that it was given."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        'list(state["readers"])': 'state["readers"]',
    },
}
