"""Sets all that goes to zero before the loop: nothing is left to answer for."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "    w, pruned, errors = w.clone(),": "    w, pruned, errors = w * kept,",
    },
}
