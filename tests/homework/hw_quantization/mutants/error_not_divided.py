"""Passes on w − ŵ, not divided by U_jj."""

LOSES = ["test_round_block", "test_act_order"]
PATCHES = {
    "round_block": {
        "(w[:, j] - rounded[:, j]) / U[j, j]": "w[:, j] - rounded[:, j]",
    },
}
