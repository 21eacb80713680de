"""Stores columns for rows."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        "return weight, bias": "return weight.transpose(1, 2), bias",
    },
}
