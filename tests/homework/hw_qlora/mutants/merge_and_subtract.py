"""Serves the base from the merged weight, less the adapter again."""

LOSES = ["test_serve"]
PATCHES = {
    "serve": {
        "y = x @ w.T": (
            "y = x @ w.T\n"
            "    for a, b in adapters:\n"
            "        m = w + b @ a\n"
            "        y = x @ (m - b @ a).T"
        ),
    },
}
