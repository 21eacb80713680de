"""Takes the request out of the state that it was given."""

LOSES = ["test_free"]
PATCHES = {
    "free": {
        "    tables = {": '    state["tables"].pop(name)\n    tables = {',
    },
}
