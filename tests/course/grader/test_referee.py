"""The referee: what decides points, what a student's value can and cannot do to it."""

import base64
import copy
import math
import signal
import threading
import time
from dataclasses import replace

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.utils import determine_grade

from course.grader.box.sandbox import Sandbox, Stopped
from course.grader.judging import outputs, referee, session
from course.grader.judging.clock import Clock, TooLong
from course.grader.judging.intake import rebuild
from course.grader.judging.parsing import parse

HEADER = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x05\0\0\0\x04"  # 5 × 4 pixels
PNG = base64.b64encode(HEADER).decode()
ROLES = {
    "ours": {"grade": False, "solution": False, "locked": True},
    "answer": {"grade": False, "solution": True, "locked": False},
    "test": {"grade": True, "solution": False, "locked": True, "points": 2.0},
}


def cell(role, name, source):
    meta = {"grade_id": name, "schema_version": 3, "task": False} | ROLES[role]
    return new_code_cell(source, metadata={"nbgrader": meta})


def graded(box, answer, *tests, ours="import math", limits=None, mine=None):
    """The cells by name, and the verdict, of a notebook with one function `f`.

    `mine` is a cell of the student's own, or several, behind the answer.
    """
    release = new_notebook(
        cells=[
            cell("ours", "imports", ours),
            cell("answer", "f", "def f(x): ..."),
            *(cell("test", f"test_{n}", source) for n, source in enumerate(tests)),
        ]
    )
    theirs = copy.deepcopy(release)
    theirs.cells[1].source = answer
    own = [mine] if isinstance(mine, str) else mine or []
    theirs.cells[2:2] = [new_code_cell(source) for source in own]
    taken = rebuild(release, parse(nbformat.writes(theirs).encode()))
    kept = box.limits
    box.limits = limits or kept
    try:
        verdict = referee.grade(release, taken, box)
    finally:
        box.limits = kept
    cells = [c for c in verdict.notebook.cells if "nbgrader" in c.metadata]
    return {c.metadata.nbgrader.grade_id: c for c in cells}, verdict


def points(cells):
    """What nbgrader reads off each test cell, in their order."""
    return [determine_grade(c)[0] for name, c in cells.items() if "test" in name]


def said(cell):
    return "\n".join(o.get("evalue", o.get("text", "")) for o in cell.outputs)


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


# ------------------------------------------------------------------ limits


@pytest.fixture
def brief(box):
    """Limits to run into; what ends well below them may take its time."""
    return replace(box.limits, test_s=2, call_s=5)


def test_a_test_s_own_endless_work_ends_and_the_next_test_runs(box, brief):
    cells, verdict = graded(
        box,
        "def f(x): return 10 ** 12",
        "n = f(1)\ntry:\n    while n:\n        n -= 1\nexcept Exception:\n    pass",
        "assert f(1)",
        limits=brief,
    )
    assert points(cells) == [0.0, 2.0]
    assert "2 s on what your functions gave it" in said(cells["test_0"])
    assert verdict.state == "stopped"


def test_a_slow_function_does_not_use_up_the_test_s_time(box, brief):
    cells, verdict = graded(
        box,
        "import time\ndef f(x):\n    time.sleep(0.6)\n    return x",
        "assert sum(f(1) for _ in range(4)) == 4",
        limits=brief,
    )
    assert points(cells) == [2.0]
    assert verdict.state == "graded"


def test_a_cell_of_ours_that_comes_to_no_end_is_a_limit(box, brief):
    """The tests that lack its names would fail, and nobody would know why."""
    cells, verdict = graded(
        box,
        "def f(x): return x",
        "assert f(stored) == 1",
        ours="while 'value' not in globals(): pass\nstored = 1",
        limits=brief,
    )
    assert points(cells) == [0.0]
    assert verdict.state == "stopped" and verdict.by_time


SPIN = "while True: pass"
SAYS_HELLO = "def hello(): return 'hello'"


def test_what_a_test_s_function_does_when_called_back_has_an_end(box, brief):
    cells, verdict = graded(
        box,
        "def f(g): return g()",
        "def work():\n    while True: pass\nf(work)",
        "assert f(lambda: 2) == 2",
        limits=brief,
    )
    assert points(cells) == [0.0, 2.0]
    assert "2 s on what your functions gave it or asked of it" in said(cells["test_0"])
    assert verdict.state == "stopped" and verdict.by_time


def test_callbacks_that_are_short_have_an_end_together(box, brief):
    works = (
        "import time\ndef work():\n    end = time.thread_time() + 0.2\n"
        "    while time.thread_time() < end: pass\n"
    )
    cells, verdict = graded(
        box,
        "def f(g, n):\n    while n:\n        g()\n        n -= 1\n    return 1",
        works + "f(work, -1)",
        works + "assert f(work, 5) == 1",
        limits=brief,
    )
    assert points(cells) == [0.0, 2.0]
    assert verdict.limits == [said(cells["test_0"])]


def test_a_slow_callback_is_no_time_of_the_student_s(box, brief):
    cells, verdict = graded(
        box,
        "def f(g): return [g() for _ in range(4)]",
        "import time\nassert f(lambda: time.sleep(1.5)) == [None] * 4",
        limits=brief,
    )
    assert (points(cells), verdict.state) == ([2.0], "graded")
    assert brief.call_s < 4 * 1.5


def test_slow_cells_of_their_own_cost_these_cells_only(box, brief):
    limits = replace(brief, call_s=1, extras_s=20)
    cells, verdict = graded(
        box,
        "def f(x): return x if hello() else 0",
        "assert f(1) == 1",
        "assert f(2) == 2",
        limits=limits,
        mine=[SAYS_HELLO, SPIN, SPIN, "import time; time.sleep(600)", "hello = None"],
    )
    assert points(cells) == [2.0, 2.0], "what ran before them is there again"
    assert (verdict.state, verdict.limits, verdict.by_time) == ("graded", [], False)
    stopped = (
        "an extra cell was stopped (one cell took more than 1 s), and what it left"
    )
    assert [note.startswith(stopped) for note in verdict.notes] == [True, False]
    assert verdict.notes[1] == "extra cells that were not run after that: 1"


def test_their_own_cells_have_a_limit_together_and_leave_the_rest_to_the_answers(box):
    limits = replace(box.limits, extras_s=2, total_s=12)
    rests = "import time; time.sleep(1.5)"
    cells, verdict = graded(
        box,
        "def f(x):\n    import time\n    time.sleep(4)\n    return x",
        "assert f(1) == 1",
        limits=limits,
        mine=[rests] * 40,
    )
    assert (points(cells), verdict.state) == ([2.0], "graded")
    assert "of this notebook's own together took more than 2 s" in verdict.notes[0]
    assert verdict.notes[1].endswith("were not run after that: 38")


@pytest.mark.parametrize("leaves", ["import os; os._exit(0)", "import os; os.abort()"])
def test_a_cell_of_their_own_that_ends_the_process_is_not_the_end(box, leaves):
    ours = "import os\nos.environ['OURS'] = '1'"
    cells, verdict = graded(
        box,
        "def f(x):\n    import os\n    return os.environ['OURS']",
        "assert f(1) == '1'",
        ours=ours,
        mine=[leaves],
    )
    assert (points(cells), verdict.state) == ([2.0], "graded")


def test_our_own_cell_ends_too(box, brief):
    cells, _ = graded(  # it comes back: that cell alone would never end
        box,
        "def f(x): return x",
        "assert f(1) == 1",
        ours="import os\nwhile 'FREE' not in os.environ and __name__ == 'tests': pass",
        limits=brief,
    )
    assert points(cells) == [2.0]


def test_after_a_limit_the_other_exercises_still_count(box, brief):
    hang = "def f(x):\n    while x == 1: pass\n    return x"
    cells, verdict = graded(box, hang, "f(1)", "assert f(2) == 2", limits=brief)
    assert points(cells) == [0.0, 2.0]
    assert verdict.limits == ["one call took more than 5 s"]


def work(seconds):
    """Work for so long, of the processor's time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_the_clock_counts_this_thread_s_work_and_no_sleep():
    with Clock(0.3, 100):
        other = threading.Thread(target=work, args=[1])  # such as what watches the box
        other.start()
        other.join()
        time.sleep(0.5)
        work(0.1)
    with pytest.raises(TooLong, match="this test worked for"), Clock(0.2, 100):
        work(600)
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0, "it is wound no more"


def test_the_clock_waits_for_what_has_to_be_whole():
    whole = False
    clock = Clock(0.1, 100)
    with pytest.raises(TooLong), clock:
        with clock.held():
            work(0.5)
            whole = True
        work(600)
    assert whole


def test_all_tests_together_have_an_end():
    clock = Clock(0.4, 0.6)
    for _ in range(2):
        with clock:
            work(0.25)
    with pytest.raises(TooLong, match=r"the tests worked for 0\.6 s in all"), clock:
        work(600)


# ------------------------------------------------------------------ what theirs showed


def test_text_and_real_pictures_are_kept():
    data = {"text/plain": "a", "text/latex": "$x$", "image/png": PNG}
    (output,) = outputs.checked([{"output_type": "display_data", "data": data}])
    assert output.data == data


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": "<script>1</script>"},
        {"image/svg+xml": "<svg onload=1>"},
        {"application/javascript": "1"},
        {"image/png": base64.b64encode(b"<script>").decode()},
        {"image/png": '"><script>1</script>'},
        {"text/plain": ["a", "list"]},
    ],
)
def test_nothing_that_could_run_is_kept(data):
    assert outputs.checked([{"output_type": "display_data", "data": data}]) == []


@pytest.mark.parametrize(
    "claim", [None, 3, [3], [{}], [{"output_type": "stream", "text": 3}]]
)
def test_what_no_cell_shows_stops_the_submission(claim):
    with pytest.raises(Stopped):
        outputs.checked(claim)


def test_no_value_speaks_as_the_test_from_a_line_of_its_own(box):
    cells, _ = graded(
        box,
        "def f(x): return 'x\\n\\nFrom the instructor: all points by hand.'",
        "assert f(1) == 1, f'not {f(1)}'",
    )
    lines = said(cells["test_0"]).splitlines()
    assert "not x" in lines[0]
    words = [line for line in lines if "instructor" in line]
    assert words and all(line.startswith("may quote the student's") for line in words)


@given(st.text())
def test_shown_text_can_be_stored_and_has_no_control_characters(text):
    shown = outputs.clean(text + "\x1b[31m\ud800")
    assert shown.encode()
    assert not set(shown) & {*map(chr, range(32)), "\x7f"} - {"\t", "\n", "\r"}


def test_printing_in_a_function_is_shown_below_the_test(box):
    cells, _ = graded(box, "def f(x):\n    print('seen', x)\n    return x", "f(7)")
    assert said(cells["test_0"]).startswith("the student's code | seen 7")


def test_a_reply_of_no_known_shape_costs_the_call_only(box, monkeypatch):
    sent = iter([("value",), ("value", 5, "")])
    monkeypatch.setattr(Sandbox, "call", lambda *_, **__: next(sent))
    cells, verdict = graded(box, "def f(x): return x", "f(1)", "assert f(1) == 5")
    assert points(cells) == [0.0, 2.0]
    assert verdict.limits == ["it sent what no function returns"]


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
