"""Takes the states of all places."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "student[1][:, :-1][keep], teacher[1][:, :-1][keep]": (
            "student[1][:, :-1].nan_to_num(1), teacher[1][:, :-1].nan_to_num(1)"
        ),
    },
}
