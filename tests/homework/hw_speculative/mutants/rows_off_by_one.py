"""Compares a guess with what the target says after it."""

LOSES = ["test_accept_greedy"]
PATCHES = {
    "accept_greedy": {
        "draft[n] == best[n]": "draft[n] == best[n + 1]",
    },
}
