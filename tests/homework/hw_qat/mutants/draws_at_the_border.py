"""Draws +1 where u = p: a weight of -1 becomes +1 now and then."""

LOSES = ["test_binarize"]
PATCHES = {
    "binarize_randomly": {
        "torch.where(u < ": "torch.where(u <= ",
    },
}
