"""Takes the token after the match from the last row, wherever the match ended."""

LOSES = ["test_accept_greedy"]
PATCHES = {
    "accept_greedy": {
        "return best[: n + 1]": "return [*best[:n], best[-1]]",
    },
}
