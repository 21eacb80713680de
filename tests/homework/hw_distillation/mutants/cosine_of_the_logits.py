"""Compares the logits' directions."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "student[1][:, :-1][keep], teacher[1][:, :-1][keep]": (
            "student[0][:, :-1][keep], teacher[0][:, :-1][keep]"
        ),
    },
}
