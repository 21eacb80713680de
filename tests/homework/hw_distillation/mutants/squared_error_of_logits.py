"""Matches logits by squares."""

LOSES = ["test_kd_gradient", "test_train_student"]
PATCHES = {
    "kd_gradient": {
        "soft = temperature * (q - p)": "soft = (student - teacher) / student.shape[1]",
    },
}
