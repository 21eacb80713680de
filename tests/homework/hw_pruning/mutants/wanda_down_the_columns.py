"""Compares within a column: each input loses as many."""

LOSES = ["test_wanda"]
PATCHES = {
    "wanda_mask": {
        "for row in score])": "for row in score.T]).T",
    },
}
