"""Takes the edges for outside."""

LOSES = ["test_ste"]
PATCHES = {
    "ste": {
        "<= 1": "< 1",
    },
}
