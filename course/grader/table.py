"""The table at the end of `make grade`, as wide as the terminal that shows it.

Names and reasons come from students. A line of theirs never begins at the left edge,
so none can be taken for a row, and nothing in it moves the cursor or turns the words.

Read in order: `table`, `row_of`.
"""

import shutil
from collections import Counter

from wcwidth import clip, ljust, width, wrap

from course.grader.campaign import Row
from course.grader.words import line

HEADER = ("student", "homework", "points", "of", "state")
STATES = ("graded", "to be read", "rejected", "stopped", "failed")
UNBOUNDED = 10_000  # columns of a file or a pipe: a line there is a whole row
MAX_NAME, MAX_REASON = 32, 500  # columns; characters of all reasons of a row
LEAST = 40  # columns in which a reason still reads well
INDENT = 4


def table(rows: list[Row], columns: int | None = None) -> str:
    """A line for each submission and its reasons; a summary below."""
    if columns is None:
        columns = shutil.get_terminal_size((UNBOUNDED, 24)).columns
    lines = [
        (
            clip(line(row.student), 0, MAX_NAME),
            clip(line(row.homework), 0, MAX_NAME),
            "–" if row.score is None else f"{row.score:g}",
            "–" if row.maximum is None else f"{row.maximum:g}",
            f"{row.state}, no box" if row.unsafe else row.state,
        )
        for row in rows
    ]
    widths = [max(map(width, column)) for column in zip(HEADER, *lines, strict=True)]
    reasons = [line("; ".join(row.reasons), MAX_REASON) for row in rows]
    edge = sum(widths) + 2 * len(widths)
    wide = columns - edge >= LEAST
    rule = tuple("-" * most for most in widths)
    shown: list[str] = []
    for cells, reason in zip(
        [HEADER, rule, *lines],
        ["reason" * wide, "------" * wide, *reasons],
        strict=True,
    ):
        shown += row_of(cells, reason, widths, edge, columns)
    counts = Counter(row.state for row in rows)
    summary = ", ".join(f"{counts[state]} {state}" for state in STATES)
    return "\n".join([*shown, summary])


def row_of(
    cells: tuple[str, ...], reason: str, widths: list[int], edge: int, columns: int
) -> list[str]:
    """The lines of a row: its reason beside it where there is room, else below."""
    own = "  ".join(ljust(cell, w) for cell, w in zip(cells, widths, strict=True))
    beside = columns - edge >= LEAST
    indent = edge if beside else INDENT
    below = wrap(reason, max(columns - indent, LEAST))
    first = f"{own}  {below.pop(0)}" if beside and below else own
    return [first.rstrip(), *(" " * indent + part for part in below)]
