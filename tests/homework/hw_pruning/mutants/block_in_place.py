"""Moves the weights of its caller."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "w.clone(), torch.zeros_like(w), torch.zeros_like(w)": (
            "w, torch.zeros_like(w), torch.zeros_like(w)"
        ),
    },
}
