"""The table is as wide as the terminal, and what is in it cannot move a row."""

import pytest
from wcwidth import wcwidth, width

from course.grader.campaign import Row
from course.grader.table import table

ESCAPES = "\x1b[1A\x1b[2Kada  hw  12  12  graded\r\x9b2J\u202e"
ROWS = [
    Row("ada", "hw_double", 3.0, 4.0, "graded"),
    Row("王伟", "hw_double", None, None, "failed", ("it is gone",)),
    Row("eve", "hw_double", 0.0, 4.0, "stopped", (ESCAPES, "x" * 300, "語" * 300)),
    Row(f"mal\x1b[2J{'l' * 500}", "hw_double", 0.0, 4.0, "rejected", ("no\nmore",)),
]


@pytest.mark.parametrize("columns", [60, 80, 132, 10_000])
def test_no_line_is_wider_than_the_terminal_or_steers_it(columns):
    lines = table(ROWS, columns).splitlines()
    assert all(char == " " or wcwidth(char) > 0 for text in lines for char in text)
    least = 85  # of names and numbers alone
    assert max(map(width, lines)) <= max(columns, least)


@pytest.mark.parametrize("columns", [60, 80, 132, 10_000])
def test_only_rows_begin_at_the_edge(columns):
    _, _, *lines, _ = table(ROWS, columns).splitlines()
    begins = [text.split()[0] for text in lines if not text.startswith(" ")]
    assert [name[:3] for name in begins] == ["ada", "王伟", "eve", "mal"]


def test_wide_characters_are_two_columns():
    header, _, ada, wei, *_ = table(ROWS, 200).splitlines()
    at = width(header[: header.index("homework")])
    assert width(wei[: wei.index("hw_double")]) == at == ada.index("hw_double")


def test_a_pipe_has_a_line_a_row(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert len(table(ROWS, 10_000).splitlines()) == 2 + len(ROWS) + 1
