"""A transpose is no copy: the caller's weights move."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "prune_layer": {
        "w.clone()": "w.T.contiguous().T",
    },
}
