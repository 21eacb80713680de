"""Rounds X along the tokens."""

LOSES = ["test_linear"]
PATCHES = {
    "linear": {
        "rounded(x, 1, of_x)": "rounded(x, 0, of_x)",
    },
}
