"""A function that comes to an end, or an error that says what may keep it from one.

    yours = ending(pure(schedule), "Is anyone let in again after a preemption?")

In a student's notebook a loop without end is a cell that stays busy and says nothing.
Here it is an AssertionError after `seconds` of processor time. A grader has limits of
its own: there the hint is added to what it says when a call was stopped.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

SECONDS = 10.0  # of processor time, where a right answer takes a thousandth
STOPPED = "was stopped"  # in a grader's words about a call that hit a limit


def ending(function: Callable, hint: str, seconds: float = SECONDS) -> Callable:
    """`function`; a call that works for `seconds` raises AssertionError with the hint.

    Where nothing can interrupt it (Windows, a thread), it is called as it is.
    """
    name = getattr(function, "__name__", "a function")

    def late(number: int, frame: FrameType | None) -> None:
        raise AssertionError(
            f"{name} has worked for {seconds:g} s, and seems to come to no end. {hint}"
        )

    def called(*args: Any, **kwargs: Any) -> Any:
        timed = hasattr(signal, "setitimer")
        timed = timed and threading.current_thread() is threading.main_thread()
        if timed:
            before = signal.signal(signal.SIGVTALRM, late)
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if STOPPED in str(error):
                error.add_note(hint)
            raise
        finally:
            if timed:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
                signal.signal(signal.SIGVTALRM, before)

    called.__name__ = name
    return called
