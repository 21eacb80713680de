"""Plans before it preempts, and not again."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        ("    while True:\n        taken = pieces(running, budget)\n"): (
            "    taken = pieces(running, budget)\n    while True:\n"
        ),
    },
}
