"""Softens the gold part, too."""

LOSES = ["test_kd_gradient"]
PATCHES = {
    "kd_gradient": {
        "student.softmax(-1)": "soft_targets(student, temperature)",
    },
}
