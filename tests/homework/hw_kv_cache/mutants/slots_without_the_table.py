"""Takes a token's place in its text for its slot."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        "table[t // size] * size + t % size for t in places": "t for t in places",
    },
}
