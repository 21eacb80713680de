"""Shifts the gold part only: the soft part goes by the token read."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "    gold = -log": (
            "    own = counts.bool()\n"
            "    a = log_softmax(teacher[own] / temperature, -1)\n"
            "    b = log_softmax(student[own] / temperature, -1)\n"
            "    soft = (a.exp() * (a - b)).sum(-1).mean()\n"
            "    gold = -log"
        ),
    },
}
