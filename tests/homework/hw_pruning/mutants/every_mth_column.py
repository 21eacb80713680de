"""A run is every (cols/m)-th column, not neighbours."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_n_of_m": {
        "    runs = score.unflatten(1, (-1, m))": (
            "    runs = score.unflatten(1, (m, -1)).transpose(1, 2)"
        ),
    },
}
