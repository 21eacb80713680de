"""Gives the teacher's likeliest token for its distribution."""

LOSES = ["test_soft_targets", "test_train_student"]
PATCHES = {
    "soft_targets": {
        "(logits / temperature).softmax(-1)": (
            "one_hot(logits.argmax(-1), logits.shape[-1]).to(logits)"
        ),
    },
}
