"""Trains at a hundred times the rate."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        "rate = teacher.shape[1], 5.0": "rate = teacher.shape[1], 500.0",
    },
}
