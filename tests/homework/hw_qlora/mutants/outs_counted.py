"""Counts the pages that leave."""

LOSES = ["bonus_fewest_moves"]
PATCHES = {
    "fewest_moves": {
        ("            count += 1\n"): "",
        ("                del here"): (
            "                count += 1\n                del here"
        ),
    },
}
