"""Exchanges the two weights."""

LOSES = ["test_kd_gradient", "test_train_student"]
PATCHES = {
    "kd_gradient": {
        "kd * soft + ce *": "ce * soft + kd *",
    },
}
