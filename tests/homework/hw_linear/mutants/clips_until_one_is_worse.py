"""Stops at the first share that helps no group."""

LOSES = ["test_clip_weight"]
PATCHES = {
    "clip_weight": {
        "        wide = better": """        if not better.any():
            break
        wide = better""",
    },
}
