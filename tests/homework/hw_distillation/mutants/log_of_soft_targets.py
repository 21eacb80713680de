"""Returns logarithms."""

LOSES = ["test_soft_targets", "test_train_student"]
PATCHES = {
    "soft_targets": {
        "softmax(-1)": "log_softmax(-1)",
    },
}
