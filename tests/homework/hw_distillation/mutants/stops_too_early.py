"""Trains ten steps."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        "range(300)": "range(10)",
    },
}
