"""Lets gradients of clipped weights pass."""

LOSES = ["test_lsq_backward", "test_smollm2"]
PATCHES = {
    "lsq_backward": {
        "return torch.where(inside, g, 0.0)": "return g.clone()",
    },
}
