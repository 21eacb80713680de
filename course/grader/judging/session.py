"""A submission while it is graded: its sandbox and its functions.

    Session    the sandbox of one submission; after a limit, a new one takes its place
    StandIn    a student's function as a test sees it: a call goes to the sandbox

*Isolated* is what has run in a sandbox of its own: the course's own cells and a text
that was read, and no other cell of the student's (lib/exercises/protocol.py).

Read in order: `Session`, `StandIn`, `their_error`.
"""

import builtins
import re
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from course.grader.box.box import Box
from course.grader.box.meter import Account
from course.grader.box.sandbox import Sandbox, Stopped
from course.grader.judging.clock import Clock, TooLong
from course.grader.judging.outputs import MAX_LINES, checked, error_output
from course.grader.words import MAX_TEXT
from lib.exercises.protocol import StudentFunction

MAX_SHOWN = 16 << 20  # characters of all outputs of a submission's own cells
TOO_MUCH = "(not shown: this notebook shows more than anybody could read)"
FRAME = re.compile(
    r"\s*cell line (\d{1,6}), in ([\w<>]{1,60})"
)  # as sandboxed.py tells
SKIPPED = "not run: cells of this notebook's own had been stopped before"
REVIVALS = 2  # times a submission that hit a limit is started again
EXTRAS = "all cells of this notebook's own together"
MISHAPS = 3  # cells of a student's own that hit one; those that come then are not run


class StudentError(Exception):
    """An exception of the student's own, of a kind that Python does not have."""


class Session:
    """A submission's sandbox in the box; after a limit, a new one takes its place."""

    def __init__(
        self, box: Box, limits: list[Stopped | TooLong], whole: Account | None = None
    ) -> None:
        self.box, self.limits = box, limits
        self.whole = whole or box.whole()  # pays for all of its sandboxes
        self.sandbox: Sandbox = box.sandbox(self.whole)
        self.ran: list[str] = []  # what a new sandbox has to run again
        self.ours: list[str] = []  # the course's own cells so far
        self.alongside: list[Session] = []  # the isolated one, if there is one
        self.printed: list[str] = []  # by the functions, while a test calls them
        self.room = MAX_TEXT  # for more of it
        self.space = MAX_SHOWN
        self.clock = Clock(box.limits.test_s, box.limits.total_s)
        self.extras = Account(EXTRAS, box.limits.extras_s)
        self.mishaps: list[Stopped] = []  # of extra cells
        self.skipped = 0  # extra cells

    def run(self, source: str, *, pictures: bool) -> list[NotebookNode]:
        """Run a cell in the box; its outputs, each checked; `pictures` take time."""
        try:
            return self.shown(source, self.sandbox.run(source, pictures=pictures))
        except Stopped as stop:
            self.revive(stop)
            return [error_output("Stopped", str(stop))]

    def try_out(self, source: str) -> list[NotebookNode]:
        """Run an extra cell, which no point depends on: a limit costs it that cell."""
        if len(self.mishaps) >= MISHAPS or self.extras.over():
            self.skipped += 1
            return [error_output("Skipped", SKIPPED)]
        try:
            outputs = self.sandbox.run(source, pays=self.extras)
            return self.shown(source, outputs)
        except Stopped as stop:
            self.mishaps.append(stop)
            self.renew()
            return [error_output("Stopped", str(stop))]

    def notes(self) -> list[str]:
        """What became of the extra cells, where something did."""
        found = [
            f"an extra cell was stopped ({stop}), and what it left behind is gone"
            for stop in self.mishaps
        ]
        if self.skipped:
            found.append(f"extra cells that were not run after that: {self.skipped}")
        return found

    def shown(self, source: str, claimed: Any) -> list[NotebookNode]:
        """What a cell that came to its end showed; Stopped for what no cell shows."""
        outputs = checked(claimed)
        self.ran.append(source)
        self.space -= len(str(outputs))
        return outputs if self.space >= 0 else [new_output("stream", text=TOO_MUCH)]

    def call(self, name: str, args: tuple, kwargs: dict) -> Any:
        """Call a student's function; its value, or its exception raised here.

        Raises what `their_error` makes of that, `StudentError` at a limit, and TooLong
        where the test's own functions, which it called, worked too long.
        """
        try:
            answer = self.sandbox.call(name, *args, **kwargs)
        except Stopped as stop:
            self.revive(stop)
            raise StudentError(f"{name} was stopped: {stop}") from None
        except TooLong:
            self.renew()
            raise
        match answer:
            case (str("value"), value, str(printed)):
                self.show(printed)
                return value
            case (
                str("error"),
                {"ename": str(kind), "evalue": str(why), "traceback": list(lines)},
                str(printed),
            ):
                self.show(printed)
                raise their_error(name, kind, why, lines)
        self.revive(Stopped("it sent what no function returns"))
        raise StudentError(f"{name} sent what no function returns")

    def show(self, printed: str) -> None:
        """Keep what a function printed, as far as it can be read."""
        self.room -= len(printed)
        if self.room >= 0:
            self.printed.append(printed)

    def revive(self, stop: Stopped) -> None:
        """Note the limit; start again, for the exercises that come, if it is early."""
        self.limits.append(stop)
        if len(self.limits) <= REVIVALS:
            self.renew()

    def renew(self) -> None:
        """A new sandbox, in which all runs again that came to its end."""
        with self.clock.held():
            self.sandbox.close()
            self.sandbox = self.box.sandbox(self.whole)
            for source in self.ran:
                try:
                    self.sandbox.run(source, pictures=False)
                except Stopped as stop:
                    self.limits.append(stop)
                    return

    def isolated(self, source: str) -> "Session":
        """A session in which our cells ran and then `source`; closes the one before it.

        It prints, stops and ends where this one does.
        """
        with self.clock.held():
            self.leave()
            other = Session(self.box, self.limits, self.whole)
            other.printed, other.clock = self.printed, self.clock
            self.alongside.append(other)
            for ours in [*self.ours, source]:
                other.run(ours, pictures=False)
        return other

    def leave(self) -> None:
        """Let go of the isolated session."""
        while self.alongside:
            self.alongside.pop().close()

    def close(self) -> None:
        """Let the sandboxed process go, and the arguments be what they were."""
        self.box.journal.undo()
        self.leave()
        self.sandbox.close()


class StandIn(StudentFunction):
    """A student's function, as the tests see it: a call goes to the box and back."""

    def __init__(self, name: str, session: Session, source: str = "") -> None:
        self.__name__, self._session, self.source = name, session, source

    def isolated(self, source: str, name: str) -> "StandIn":
        """The function `name` of `source`, in a fresh process; lasts until the next."""
        return StandIn(name, self._session.isolated(source), source)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function in the box; raises what `Session.call` raises."""
        return self._session.call(self.__name__, args, kwargs)


def their_error(name: str, kind: str, why: str, lines: list) -> Exception:
    """A built-in exception as itself, so that a test can expect it, or StudentError.

    StopIteration would end a test's own loop over the function, as if all went well.
    """
    known = vars(builtins).get(kind)
    if not (isinstance(known, type) and issubclass(known, Exception)) or issubclass(
        known, StopIteration | StopAsyncIteration
    ):
        known, why = StudentError, f"{kind}: {why}"
    try:
        error = known(why)
    except TypeError:  # UnicodeDecodeError and its like take more
        error = StudentError(f"{kind}: {why}")
    error.add_note(f"({raised(name, lines)})")
    return error


def raised(name: str, lines: list) -> str:
    """Where in the student's cells it was raised, when a test called `name`."""
    said = [line for line in lines[:MAX_LINES] if isinstance(line, str)]
    frames = [found.groups() for line in said if (found := FRAME.fullmatch(line))]
    if not frames:
        return f"raised by your {name}"
    functions = [function for _, function in frames if not function.startswith("<")]
    inner = functions[-1] if functions else name
    place = f"raised in your {inner}, in line {frames[-1][0]} of its cell"
    return place if inner == name else f"{place}; your {name} called it"
