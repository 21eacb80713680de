"""Adds the cosine unweighed."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "cos * apart": "apart",
    },
}
