"""Cuts what a round may bring to gamma tokens: only the passes tell."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        """        text += new
""": """        text += new[: max(gamma, 1)]
""",
    },
}
