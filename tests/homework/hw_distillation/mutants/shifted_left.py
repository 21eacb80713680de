"""Shifts the wrong way: place t predicts token t - 1."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "keep = counts[:, 1:]": "keep = counts[:, :-1]",
        ("student[:, :-1][keep], teacher[:, :-1][keep], tokens[:, 1:][keep]"): (
            "student[:, 1:][keep], teacher[:, 1:][keep], tokens[:, :-1][keep]"
        ),
    },
}
