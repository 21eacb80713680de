"""Stores what it learned of one letter with the other."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        "return weight, bias": "return weight.flip(0), bias",
    },
}
