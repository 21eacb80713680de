"""Keeps the draft's token where the target says another."""

LOSES = ["test_accept_greedy"]
PATCHES = {
    "accept_greedy": {
        "return best[: n + 1]": "return draft[: n + 1] if n < len(draft) else best",
    },
}
