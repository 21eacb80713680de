"""Flattens all states to one vector."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "cosine_similarity(h, known, dim=-1)": (
            "cosine_similarity(h.flatten(), known.flatten(), dim=0)"
        ),
    },
}
