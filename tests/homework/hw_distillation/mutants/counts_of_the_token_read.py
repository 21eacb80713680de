"""Takes a place for one that counts where the token read does."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "counts[:, 1:]": "counts[:, :-1]",
        "tokens[:, 1:][keep]": "tokens[:, 1:][keep].clamp(0, student.shape[2] - 1)",
    },
}
