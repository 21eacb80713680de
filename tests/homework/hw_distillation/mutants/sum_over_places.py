"""Adds places up and forgets the mean."""

LOSES = ["test_kd_gradient", "test_train_student"]
PATCHES = {
    "kd_gradient": {
        " / len(student)": "",
    },
}
