"""Writes a place's gradient over that of another."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        (
            "weight[j].index_add_(0, contexts[:, j], gradient, alpha=-rate)"
        ): "weight[j, contexts[:, j]] -= rate * gradient",
    },
}
