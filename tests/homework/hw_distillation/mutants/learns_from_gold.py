"""Learns from the labels alone."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        "temperature, kd, ce)": "temperature, 0.0, 1.0)",
    },
}
