"""Takes the mean over places and tokens."""

LOSES = ["test_kd_gradient", "test_train_student"]
PATCHES = {
    "kd_gradient": {
        "/ len(student)": "/ student.numel()",
    },
}
