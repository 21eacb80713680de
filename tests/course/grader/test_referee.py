"""The referee: what decides points, what a student's value can and cannot do to it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nbgrader.utils import determine_grade

from course.grader.judging import referee, session
from tests.course.grader.refereed import cell, graded, points, said

# ------------------------------------------------------------------ isolated

REDEFINED = """
import builtins, math
f = lambda x: 4
math.sqrt = builtins.abs = lambda x: 4
"""


def test_an_isolated_answer_knows_our_cells_and_its_own_text(box):
    cells, _ = graded(
        box,
        "def f(x): return abs(math.sqrt(x))",
        "assert f(4) == 4, 'theirs'\nassert f.isolated(f.source, 'f')(4) == 2, 'ours'",
        "assert f.source == 'def f(x): return abs(math.sqrt(x))', f.source",
        mine=REDEFINED,
    )
    assert points(cells) == [2.0, 2.0], [said(cells[f"test_{n}"]) for n in (0, 1)]


@pytest.mark.parametrize(
    ("answer", "mine"),
    [
        ("%%time\ndef f(x): return x + 1", None),
        ("def f(x): ...", "!ls\nONE = 1\ndef f(x): return x + ONE\nprint(f(1))"),
        ("# see below", "def f(x): return x + 1"),
    ],
)
def test_an_isolated_answer_may_be_timed_or_stand_in_another_cell(box, answer, mine):
    both = "assert f(1) == f.isolated(f.source, 'f')(1) == 2, f.source"
    cells, _ = graded(box, answer, both, mine=mine)
    assert points(cells) == [2.0], said(cells["test_0"])


def test_what_stands_in_another_cell_is_not_there_when_isolated(box):
    isolated = "assert f.isolated(f.source, 'f')(1) == 2"
    cells, verdict = graded(
        box, "def f(x): return helper(x)", isolated, mine="def helper(x): return 2"
    )
    assert points(cells) == [0.0] and "helper" in said(cells["test_0"])
    assert verdict.state == "graded"


def test_an_isolated_function_keeps_the_limits_and_ends_with_the_next(box, brief):
    endless = "def f(x):\n    while x: pass\n    return 1"
    isolated = "g = f.isolated(f.source, 'f')\nassert g(0) == 1"
    cells, verdict = graded(
        box, endless, f"{isolated}\ng(1)", f"{isolated}\nassert f(0) == 1", limits=brief
    )
    assert points(cells) == [0.0, 2.0]
    assert verdict.limits == [f"one call took more than {brief.call_s:g} s"]


# ------------------------------------------------------------------ points


def test_passed_is_all_failed_is_nothing_a_number_last_is_a_share(box):
    cells, verdict = graded(
        box,
        "def f(x): return 2 * x",
        "assert f(2) == 4",
        "assert f(2) == 5, f'twice 2 is 5, not {f(2)}'",
        "f(0.25)",
    )
    assert points(cells) == [2.0, 0.0, 0.5]
    assert said(cells["test_1"]) == "twice 2 is 5, not 4"
    assert (verdict.state, verdict.limits) == ("graded", [])


@pytest.mark.parametrize(
    ("credit", "due"),
    [
        (None, 2),
        ("a word", 2),
        (True, 2),
        (False, 0),
        (1, 1),
        (0.5, 0.5),
        (-3, 0),
        (1e9, 2),
        (torch.tensor(1.5), 1.5),
        (np.float32(1.5), 1.5),
        (math.nan, 0),
        (math.inf, 0),
        (torch.tensor(math.nan), 0),
    ],
)
def test_partial_credit_is_from_nothing_to_all(credit, due):
    test = cell("test", "t", "")
    test.outputs = referee.result(credit, 2.0)
    assert determine_grade(test)[0] == due


@given(st.floats() | st.integers() | st.booleans() | st.none() | st.text())
def test_no_value_gives_more_than_there_is_or_less_than_nothing(credit):
    test = cell("test", "t", "")
    test.outputs = referee.result(credit, 2.0)
    assert 0 <= determine_grade(test)[0] <= 2


# ------------------------------------------------------------------ errors of theirs


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("raise ValueError('bits=9')", "ValueError"),
        ("raise KeyError('x')", "KeyError"),
        ("import torch; torch.ones(2) @ torch.ones(3)", "RuntimeError"),
        ("return undefined", "NameError"),
    ],
)
def test_a_test_can_expect_an_exception(box, answer, expected):
    test = f"try:\n    f(1)\nexcept {expected}:\n    pass\nelse:\n    assert False"
    cells, _ = graded(box, f"def f(x):\n    {answer}", test)
    assert points(cells) == [2.0]


def test_an_error_is_told_with_the_student_s_own_line(box):
    cells, _ = graded(box, "def f(x):\n    y = x\n    return y / 0", "f(1)")
    assert points(cells) == [0.0]
    assert "division by zero" in said(cells["test_0"])
    assert "(raised in your f, in line 3 of its cell)" in said(cells["test_0"])


def test_an_error_is_told_where_it_was_raised(box):
    """What a test calls is not always what fails."""
    helper = "def helper(x):\n    if x:\n        raise ValueError('no')"
    cells, _ = graded(
        box,
        f"{helper}\n\ndef f(x):\n    return [helper(y) for y in [x]]",
        "f(1)",
        "f(1, 2)",
    )
    assert said(cells["test_0"]).splitlines() == [
        "no",
        "(raised in your helper, in line 3 of its cell; your f called it)",
    ]
    assert "(raised by your f)" in said(cells["test_1"])


def test_what_is_not_written_yet_says_so(box):
    cells, _ = graded(box, "def f(x):\n    raise NotImplementedError()", "f(1)")
    assert said(cells["test_0"]).startswith("not written yet")


def test_an_exception_cannot_end_the_tests_own_loop(box):
    loop = "for _ in range(3):\n    next(iter([1])), f(1)\nassert False"
    cells, _ = graded(box, "def f(x): raise StopIteration", loop)
    assert points(cells) == [0.0]
    assert "StopIteration" in said(cells["test_0"])


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "TooLong"])
def test_no_exception_of_theirs_is_more_than_an_exception_here(kind):
    error = session.their_error("f", kind, "why", [])
    assert type(error) is session.StudentError


@given(st.text(), st.text(), st.lists(st.text() | st.integers()))
def test_any_claim_of_an_exception_becomes_one(kind, why, lines):
    assert isinstance(session.their_error("f", kind, why, lines), Exception)


# ------------------------------------------------------------------ as at the desk

AT_HOME = """
import torch
x = torch.tensor([[3.0, -1.0], [4.0, 2.0]])
got = f({argument})
{then}
"""


@pytest.mark.parametrize(
    ("answer", "argument", "then", "due"),
    [
        ("x.clamp_(min=0)", "x", "assert x.min() == 0", 2.0),
        ("x.clamp_(min=0)", "x[0]", "assert x.min() == 0 and x[1].sum() == 6", 2.0),
        ("x.clamp_(min=0)", "x", "assert torch.equal(got, x.clamp(min=-1))", 2.0),
        ("x.clone().clamp_(min=0)", "x", "assert x.min() == -1", 2.0),
        ("x.view(-1)", "x.T", "pass", 0.0),
        ("x.reshape(-1)", "x.T", "assert got.tolist() == [3, 4, -1, 2]", 2.0),
        ("x.T", "x", "got.view(-1)", 0.0),
        ("x[:1]", "x", "x.zero_()\nassert not got.any()", 2.0),
        ("x.append(1)", "ys := [2]", "assert ys == [2, 1]", 2.0),
    ],
)
def test_a_call_in_the_box_is_what_it_is_at_the_desk(box, answer, argument, then, due):
    """The same points for the plain function and for the one in the box."""
    answer = f"def f(x): return {answer}"
    test = AT_HOME.format(argument=argument, then=then)
    cells, verdict = graded(box, answer, test)
    assert points(cells) == [due], said(cells["test_0"])
    assert verdict.state == "graded"
    try:
        exec(f"{answer}\n{test}", {})
    except Exception:
        assert due == 0
    else:
        assert due == 2


def test_what_one_test_s_call_changed_no_other_test_finds(box):
    cells, _ = graded(
        box,
        "def f(x): x.zero_()",
        "f(TABLE)\nassert not TABLE.any()",
        "assert TABLE.all(), 'theirs'",
        ours="import torch\nTABLE = torch.ones(3)",
    )
    assert points(cells) == [2.0, 2.0]
