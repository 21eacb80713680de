"""Takes squared distances for directions."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "(1 - cosine_similarity(h, known, dim=-1))": "(h - known).square()",
    },
}
