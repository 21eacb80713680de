"""Compares each place with the token that it has read."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "student[:, :-1][keep], teacher[:, :-1][keep]": (
            "student[:, 1:][keep], teacher[:, 1:][keep]"
        ),
    },
}
