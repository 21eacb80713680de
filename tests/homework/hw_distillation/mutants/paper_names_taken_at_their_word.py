"""Takes L_ce of the paper for the gold part."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "kd, ce, cos = weights": "ce, kd, cos = weights",
    },
}
