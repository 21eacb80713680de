"""Takes the states of the tokens that count, not those that predict them."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "student[1][:, :-1][keep], teacher[1][:, :-1][keep]": (
            "student[1][:, 1:][keep], teacher[1][:, 1:][keep]"
        ),
    },
}
