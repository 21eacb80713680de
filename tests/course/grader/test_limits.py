"""Limits of time: what a test, a call, a callback, an extra cell may take."""

import signal
import threading
import time
from dataclasses import replace

import pytest

from course.grader.judging.clock import Clock, TooLong
from tests.course.grader.refereed import graded, points, said


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
