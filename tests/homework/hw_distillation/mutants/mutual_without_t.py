"""Forgets T² of the two."""

LOSES = ["test_mutual_gradients"]
PATCHES = {
    "mutual_gradients": {
        "temperature * (a - b)": "(a - b) / temperature",
    },
}
