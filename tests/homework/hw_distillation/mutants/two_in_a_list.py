"""Returns one tensor for the two."""

LOSES = ["test_mutual_gradients"]
PATCHES = {
    "mutual_gradients": {
        "return gradient, -gradient": """import torch

    return torch.stack((gradient, -gradient))""",
    },
}
