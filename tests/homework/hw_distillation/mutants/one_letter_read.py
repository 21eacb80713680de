"""Reads the last letter only."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        "for j in range(2)": "for j in range(1)",
    },
}
