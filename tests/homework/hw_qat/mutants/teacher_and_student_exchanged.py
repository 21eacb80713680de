"""Weighs the teacher's logarithms by the student."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "teacher[real]": "student[real]",
        "student[real].log": "teacher[real].log",
    },
}
