"""Gives a dead feature 1 and λ besides."""

LOSES = ["test_hessian"]
PATCHES = {
    "inverse_factor": {
        "torch.where(dead, 1.0, damping": "dead + (damping",
    },
}
