"""Moves the columns rightly, and returns errors that are not divided by U_jj."""

LOSES = ["test_round_block", "test_act_order"]
PATCHES = {
    "round_block": {
        "    return rounded, errors": "    return rounded, errors * U.diagonal()"
    }
}
