"""Asks only for the teacher's first choice."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "p = teacher[real].softmax(-1)": (
            "p = teacher[real].argmax(-1)\n"
            "    p = torch.nn.functional.one_hot(p, teacher.shape[-1])"
        ),
    },
}
