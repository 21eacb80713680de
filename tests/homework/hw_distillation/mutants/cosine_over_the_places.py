"""Takes the cosine along the places."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "dim=-1": "dim=0",
    },
}
