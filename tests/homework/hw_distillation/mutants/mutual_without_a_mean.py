"""Adds places up."""

LOSES = ["test_mutual_gradients"]
PATCHES = {
    "mutual_gradients": {
        " / len(first)": "",
    },
}
