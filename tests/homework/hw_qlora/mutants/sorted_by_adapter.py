"""Returns the tokens in the adapters' order."""

LOSES = ["test_serve"]
PATCHES = {
    "serve": {
        "return y": (
            "return y[sorted(range(len(x)), key=lambda i: -1 if "
            "which[i] is None else which[i])]"
        ),
    },
}
