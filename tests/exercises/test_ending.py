"""A call without end is stopped, and says why; any other is left alone."""

import signal

import pytest

from lib.exercises.ending import ending


def test_a_loop_without_end_is_an_error_that_carries_the_hint():
    def schedule():
        while True:
            pass

    with pytest.raises(AssertionError, match=r"has worked .* Is anyone let in"):
        ending(schedule, "Is anyone let in again?", seconds=0.05)()
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL


def test_an_answer_and_an_error_of_its_own_pass_through():
    assert ending(divmod, "A hint.")(7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError) as caught:
        ending(divmod, "A hint.")(7, 0)
    assert not hasattr(caught.value, "__notes__")


def test_a_grader_s_limit_gets_the_hint_as_a_note():
    def stopped():
        raise RuntimeError("schedule was stopped: one call took more than 30 s")

    with pytest.raises(RuntimeError) as caught:
        ending(stopped, "Is anyone let in again?")()
    assert caught.value.__notes__ == ["Is anyone let in again?"]
