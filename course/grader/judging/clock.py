"""A limit for what a test does itself, in processor seconds of the thread it runs in.

    with clock: the test, and what it hands a student's function to call back

What a student's function gives a test may make its work endless, and so may a loop that
calls the test's functions. The box has limits of its own (box/meter.py).
"""

import contextlib
import signal
import time
from collections.abc import Iterator

RESOLUTION_S = 0.01  # of processor time


class TooLong(BaseException):
    """A test's own work came to no end; no test may catch it as an Exception."""

    by_time = True


class Clock:
    """Bounds a test's own work, which a student's value or loop may make endless.

    A `with` of it raises TooLong in the main thread after `seconds` of its processor
    time, or what is left of `total`. A function that is called in the box uses none of
    it; what the test's own functions do meanwhile, called back, does.
    """

    def __init__(self, seconds: float, total: float) -> None:
        self.seconds, self.total, self.left = seconds, total, total
        self.holds = 0

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGPROF, self.ring)
        self.began = time.thread_time()
        self.wind(min(self.seconds, self.left))

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self.before)
        self.left -= time.thread_time() - self.began

    def wind(self, seconds: float) -> None:
        """Ring after so much of the process's time, at once if there is none."""
        signal.setitimer(signal.ITIMER_PROF, max(seconds, RESOLUTION_S))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Put its end off for the length of a `with`, which has to be whole."""
        self.holds += 1
        try:
            yield
        finally:
            self.holds -= 1

    def ring(self, *_: object) -> None:
        """End the test, whatever it was about to catch, if this thread worked so long.

        The timer counts other threads too, such as those that watch the box.
        """
        more = min(self.seconds, self.left) - (time.thread_time() - self.began)
        if more > 0 or self.holds:
            return self.wind(more)
        who = f"this test worked for {self.seconds:g} s"
        if self.left < self.seconds:
            who = f"the tests worked for {self.total:g} s in all"
        raise TooLong(
            f"{who} on what your functions gave it or asked of it: is a value far too "
            "large, or a loop without an end?"
        )
