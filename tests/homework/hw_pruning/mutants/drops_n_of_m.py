"""N counts the zeros of each run, as some published code has it."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_n_of_m": {
        "order[..., :n]": "order[..., : m - n]",
    },
}
