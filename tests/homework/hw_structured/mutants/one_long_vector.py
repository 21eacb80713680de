"""Takes the cosine of whole sequences."""

LOSES = ["test_block_influence"]
PATCHES = {
    "block_influence": {
        "(a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))": (
            "(a * b).sum() / (a.norm() * b.norm())"
        ),
    },
}
