"""Corrects kept weights only; what goes later errs by its old size."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "torch.outer(errors[:, j], U[j, j + 1 :])": (
            "torch.outer(errors[:, j], U[j, j + 1 :]) * kept[:, j + 1 :]"
        ),
    },
}
