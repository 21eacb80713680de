"""Starts the generator again for each round."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "        guess, q = [], []": """        generator.manual_seed(seed)
        guess, q = [], []""",
    },
}
