"""The time of a submission, as fair on a busy machine as on an idle one.

    charged = processor seconds of all its processes
            + seconds that it slept: while we waited for it, and it neither ran, nor
              stood in line for a processor, nor waited for us

So 30 s are the same work whatever else the machine does. Somebody who stands in line
costs nothing; that this ends is held by a wall limit of `PATIENCE` times as much.

The more threads of a submission want to run at once, the nicer all of them are made, so
that together they weigh about as much as one, and another's work goes on beside them.

Read in order: `Account`, `Meter`, `Meter.turn`, `Meter.look`.
"""

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from course.grader.box.processes import Usage, busy

LOOK_S = 0.1  # between two looks
CREDIT_S = 1.0  # of standing in line: the kernel tells of it when it is over
STEP, NICEST = 1.25, 19  # a step of niceness is worth so much; there are no more

# Seconds that we have waited before, and of this turn our thread and its idle time then
Waits = tuple[float, tuple[int, float] | None]


@dataclass
class Account:
    """Seconds that something may take, and has taken; `end` is when it ends anyhow."""

    what: str
    limit: float
    spent: float = 0.0
    end: float = field(default=math.inf)

    def over(self) -> str | None:
        """The limit in words, once it is hit."""
        return self.words() if self.spent > self.limit else None

    def words(self) -> str:
        """The limit: the same words on an idle machine and on a busy one."""
        return f"{self.what} took more than {self.limit:g} s"


class Meter:
    """Charges a sandbox's accounts for its time, and calls `cut` at a limit.

    It looks every `LOOK_S` until `ended` is set. `root` is the supervisor's process.
    """

    def __init__(
        self, root: int, whole: Account, cut: Callable[[], None], ended: threading.Event
    ) -> None:
        self.usage, self.cut, self.ended = Usage(root), cut, ended
        self.accounts = [whole]
        self.reason: str | None = None
        self.waits: Waits = (0.0, None)
        self.waited = self.balance = 0.0  # as of the last look
        threading.Thread(target=self._keep_looking, daemon=True).start()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """For a `with` in which we wait for the sandbox: it is charged for sleeping."""
        thread, before = threading.get_native_id(), self.waits[0]
        began = idle(thread)
        self.waits = before, (thread, began)
        try:
            yield
        finally:
            self.waits = before + idle(thread) - began, None

    def waiting(self) -> float:
        """Seconds that we have waited for the sandbox, in all."""
        before, now = self.waits  # at once: the other thread changes both
        return before + (idle(now[0]) - now[1] if now else 0.0)

    def look(self) -> None:
        """Charge what was used since the last look; cut at a limit."""
        usage = self.usage
        processor, line = usage.processor, usage.line
        share_alike(*usage.read())
        processor, line = usage.processor - processor, usage.line - line
        waited = self.waiting()
        self.balance += waited - self.waited - processor - line
        self.waited = waited
        slept = max(self.balance, 0.0)
        self.balance = max(self.balance - slept, -CREDIT_S)
        for account in self.accounts:
            account.spent += processor + slept
            if not self.reason and account.over():
                self.reason = account.words()
                self.cut()

    def _keep_looking(self) -> None:
        while not self.ended.wait(LOOK_S):
            self.look()


def idle(thread: int) -> float:
    """A clock that stands while a thread of this process runs or stands in line."""
    return time.monotonic() - busy(thread)


def share_alike(threads: list[int], eager: int) -> None:
    """Make threads so nice that `eager` of them weigh about as much as one.

    What they start inherits it, and nobody without a privilege takes it back.
    """
    nice = min(round(math.log(max(eager, 1), STEP)), NICEST)
    for thread in threads if nice else ():
        with contextlib.suppress(OSError):  # it is gone
            if os.getpriority(os.PRIO_PROCESS, thread) < nice:
                os.setpriority(os.PRIO_PROCESS, thread, nice)
