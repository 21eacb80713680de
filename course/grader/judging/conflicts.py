"""The two sides of a text in which git left a conflict.

<<<<<<< HEAD
one
=======
other
>>>>>>> a branch
"""

MARKS = {"<<<<<<<": "one", "|||||||": "base", "=======": "other", ">>>>>>>": "both"}


def sides(text: str) -> list[str]:
    """The text without git's marks, each side of the conflicts once; [] without any."""
    found: dict[str, list[str]] = {side: [] for side in MARKS.values()}
    now, conflicts = "both", 0
    for line in text.split("\n"):
        mark = line[:7]
        if mark in MARKS and (now != "both" or mark == "<<<<<<<"):
            now = MARKS[mark]
            conflicts += now == "both"
            continue
        for side in ("one", "other") if now == "both" else (now,):
            found[side].append(line)
    return ["\n".join(found[side]) for side in ("one", "other")] if conflicts else []
