"""Trains at a hundredth of the rate."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        "rate = teacher.shape[1], 5.0": "rate = teacher.shape[1], 0.05",
    },
}
