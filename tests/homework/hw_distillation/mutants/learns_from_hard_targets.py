"""Learns from the teacher's likeliest letters."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        "        gradient = kd_gradient(logits, teacher,": (
            "        gradient = kd_gradient(logits, 20 * "
            "one_hot(teacher.argmax(1), letters).float(),"
        ),
    },
}
