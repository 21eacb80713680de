"""Makes room before it looks which page is touched."""

LOSES = ["test_touch"]
PATCHES = {
    "touch": {
        "    others = ": (
            "    if len(here) > room:\n"
            "        gone = here[: len(here) - room]\n"
            "        left, moves = touch(here[len(here) - room :], "
            "page, room)\n"
            '        return left, [*(("out", p) for p in gone), '
            "*moves]\n"
            "    others = "
        ),
    },
}
