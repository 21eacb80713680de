"""Keeps what agrees behind the first disagreement, too."""

LOSES = ["test_accept_greedy"]
PATCHES = {
    "accept_greedy": {
        "return best[: n + 1]": """\
same = [x for x, y in zip(draft[n:], best[n:], strict=False) if x == y]
    return [*best[: n + 1], *(same if n < len(draft) else [])]""",
    },
}
