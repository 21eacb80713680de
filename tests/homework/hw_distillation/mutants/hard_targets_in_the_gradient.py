"""Takes the teacher's likeliest token for its distribution."""

LOSES = ["test_kd_gradient", "test_train_student"]
PATCHES = {
    "kd_gradient": {
        "p, q = soft_targets(teacher, temperature),": (
            "p = one_hot(teacher.argmax(-1), teacher.shape[1]).to(teacher)\n    q ="
        ),
    },
}
