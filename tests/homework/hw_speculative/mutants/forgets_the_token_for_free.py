"""Forgets the extra token where all guesses are right."""

LOSES = ["test_accept_greedy"]
PATCHES = {
    "accept_greedy": {
        "return best[: n + 1]": "return best[: max(1, min(n + 1, len(draft)))]",
    },
}
