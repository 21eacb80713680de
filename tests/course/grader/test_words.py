"""What a student wrote is cleaned, and stays theirs."""

from dataclasses import replace

import pytest

from course.grader.terms import Graded
from course.grader.words import MAX_LINE, MAX_LINES, clean, line, quoted


@pytest.mark.parametrize(
    "bad", ["\x1b[2J", "\x9b2J", "\x07", "\u202e", "\u2066", "\x00", "\ud800", "\x85"]
)
def test_nothing_that_steers_a_terminal_is_left(bad):
    for shown in (clean(f"a{bad}b"), line(f"a{bad}b")):
        shown.encode()
        assert not set("\x1b\x9b\x07\u202e\u2066\x00\x85") & set(shown)
        assert (shown[0], shown[-1]) == ("a", "b")


def test_a_line_is_one_and_bounded():
    assert line("a\nb\u2028c\x0bd") == "a b c d"
    assert len(line("x" * 2_800_000)) == MAX_LINE
    assert line("\n" * 2_000 + "x") == "…", "cut says so"


def test_every_line_is_marked_whatever_ends_it():
    shown = quoted("a\nb\rc\x0bd\x1ce\u2028f\x85g", "theirs")
    assert shown.splitlines() == [f"theirs | {letter}" for letter in "abcdefg"]


def test_a_graded_result_is_cleaned_where_it_is_made():
    reasons = [f"\x1b[1A\ud800{'x' * 5_000_000}", *["more"] * 1_000]
    graded = Graded("hw", "ada", "{}", "f", "stopped", reasons, ["\u202ea"])
    assert len(graded.reasons) == MAX_LINES
    assert graded.reasons[-1] == "and 982 more"
    assert replace(graded).reasons == graded.reasons
    assert max(map(len, graded.reasons)) <= MAX_LINE
    "".join([*graded.reasons, *graded.notes]).encode()
    assert graded.notes == ["a"]
