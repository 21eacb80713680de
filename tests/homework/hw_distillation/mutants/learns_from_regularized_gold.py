"""Learns from the labels, with weight decay as good as it gets."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        "temperature, kd, ce)": "temperature, 0.0, 1.0)",
        "        bias -=": """        weight *= 1 - 2 * rate * 5e-4
        bias -=""",
    },
}
