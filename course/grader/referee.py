"""The tests run here, outside the box, over stand-ins of the student's functions.

    our cell       runs in both: imports for the tests, imports for the student
    their cell     runs in the box; what it shows is checked and kept
    a test cell    runs here, from our source, hidden parts included:
                   passed → all points, error → 0, a number last → partial credit

In the tests' namespace a student's function is a `StandIn`: a call sends plain bytes
and gets plain bytes. So a test sees numbers and tensors that are really numbers and
tensors, and nothing of the student's runs beside it.

Read in order: `grade`, `Session`, `Clock`, `StandIn`, `judge`.
"""

import ast
import builtins
import contextlib
import io
import math
import numbers
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from course.grader.box import Box, Cell, Stopped
from course.grader.intake import Intake, functions, grade_id, is_answer
from course.grader.outputs import MAX_LINES, MAX_TEXT, checked, clean, error_output

MAX_SHOWN = 16 << 20  # characters of all outputs of a submission's own cells
TOO_MUCH = "(not shown: this notebook shows more than anybody could read)"
REVIVALS = 2  # times a submission that hit a limit is started again


class TooLong(BaseException):
    """A test's own work came to no end; no test may catch it as an Exception."""


class StudentError(Exception):
    """An exception of the student's own, of a kind that Python does not have."""


@dataclass
class Verdict:
    """A graded notebook: outputs in place, and how it ended."""

    notebook: NotebookNode
    state: str = "graded"  # or "stopped"
    limits: list[str] = field(default_factory=list)  # that were hit
    notes: list[str] = field(default_factory=list)


def grade(source: NotebookNode, intake: Intake, box: Box) -> Verdict:
    """Run a submission's cells in `box` and the tests of `source` here.

    `source` is the instructor's notebook, whose test cells have their hidden parts and
    whose answer cells tell which functions there are. Never raises for what a student
    did; outputs are written into the notebook, and decide the points.
    """
    ours = {grade_id(cell): cell for cell in source.cells if grade_id(cell)}
    verdict = Verdict(intake.notebook, notes=list(intake.notes))
    tests: dict[str, Any] = {"__name__": "tests"}
    with contextlib.closing(Session(box, verdict.limits)) as session:
        for cell in intake.notebook.cells:
            if cell.cell_type != "code":
                continue
            original = ours.get(grade_id(cell))
            mine = original is not None and is_answer(original)  # a person may grade it
            if original is not None and original.metadata.nbgrader.grade and not mine:
                cell.outputs = judge(original, tests, session)
                continue
            theirs = mine or bool(cell.metadata.get("theirs"))
            cell.outputs = session.run(cell.source, pictures=theirs)
            if mine:
                for name in functions(original.source):
                    tests[name] = StandIn(name, session, cell.source)
            elif not theirs:
                session.ours.append(cell.source)
                run_ours(cell.source, tests, session.clock)
    for number, cell in enumerate(
        cell for cell in intake.notebook.cells if cell.cell_type == "code"
    ):
        cell.execution_count = number + 1
    verdict.state = "stopped" if verdict.limits else "graded"
    return verdict


def run_ours(source: str, namespace: dict[str, Any], clock: "Clock") -> None:
    """Run a cell of ours that is no test; it may fail on what a student wrote."""
    said = contextlib.redirect_stdout(io.StringIO())
    with contextlib.suppress(Exception, TooLong), said, clock:
        exec(compile(source, "<ours>", "exec"), namespace)
    if "matplotlib.pyplot" in sys.modules:  # nobody sees what a cell drew here
        sys.modules["matplotlib.pyplot"].close("all")


class Session:
    """A submission's cell in the box; after a limit, a new one takes its place."""

    def __init__(self, box: Box, limits: list[str]) -> None:
        self.box, self.limits = box, limits
        self.cell: Cell = box.cell()
        self.ran: list[str] = []  # what a new inmate has to run again
        self.ours: list[str] = []  # the course's own cells so far
        self.apart: list[Session] = []  # where a text runs without the student's cells
        self.printed: list[str] = []  # by the functions, while a test calls them
        self.room = MAX_TEXT  # for more of it
        self.space = MAX_SHOWN
        self.clock = Clock(box.limits.test_s)

    def run(self, source: str, *, pictures: bool) -> list[NotebookNode]:
        """Run a cell in the box; its outputs, each checked; `pictures` take time."""
        try:
            outputs = checked(self.cell.run(source, pictures=pictures))
        except Stopped as stop:
            self.revive(str(stop))
            return [error_output("Stopped", f"stopped: {stop}")]
        self.ran.append(source)
        self.space -= len(str(outputs))
        return outputs if self.space >= 0 else [new_output("stream", text=TOO_MUCH)]

    def call(self, name: str, args: tuple, kwargs: dict) -> Any:
        """Call a student's function; its value, or its exception raised here."""
        with self.clock.paused():
            try:
                answer = self.cell.call(name, *args, **kwargs)
            except Stopped as stop:
                self.revive(str(stop))
                raise StudentError(f"{name} was stopped: {stop}") from None
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
        with self.clock.paused():
            self.revive("it sent what no function returns")
        raise StudentError(f"{name} sent what no function returns")

    def show(self, printed: str) -> None:
        """Keep what a function printed, as far as it can be read."""
        self.room -= len(printed)
        if self.room >= 0:
            self.printed.append(printed)

    def revive(self, limit: str) -> None:
        """Note the limit; start again, for the exercises that come, if it is early."""
        self.limits.append(limit)
        if len(self.limits) > REVIVALS:
            return
        end = self.cell.end
        self.cell.close()
        self.cell = self.box.cell()
        self.cell.end = end  # the time of the whole submission goes on
        for source in self.ran:
            try:
                self.cell.run(source, pictures=False)
            except Stopped as stop:
                self.limits.append(str(stop))
                return

    def alone(self, source: str) -> "Session":
        """A session of its own, in which our cells ran and then `source`; closes mine.

        It prints, stops and ends where this one does.
        """
        with self.clock.paused():
            self.leave()
            other = Session(self.box, self.limits)
            other.printed, other.clock = self.printed, self.clock
            other.cell.end = self.cell.end
            self.apart.append(other)
            for ours in [*self.ours, source]:
                other.run(ours, pictures=False)
        return other

    def leave(self) -> None:
        """Let go of the sessions apart."""
        while self.apart:
            self.apart.pop().close()

    def close(self) -> None:
        """Let the inmate go."""
        self.leave()
        self.cell.close()


class Clock:
    """Bounds a test's own work, which a student's value may make endless.

    A `with` of it raises TooLong in the main thread after `seconds`; while it is
    `paused`, a student's function runs, whose time the box counts.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGALRM, self.ring)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop it for the length of a `with`."""
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, left)

    def ring(self, *_: object) -> None:
        """End the test, whatever it was about to catch."""
        raise TooLong(
            f"this test worked for {self.seconds:g} s on what your functions gave it: "
            "is one of their values far too large?"
        )


class StandIn:
    """A student's function, as the tests see it: a call goes to the box and back.

    `source` is the answer cell's text in the submitted file, to be judged by reading;
    `apart` runs a text that was read where none of the student's other cells ran.
    """

    def __init__(self, name: str, session: Session, source: str = "") -> None:
        self.__name__, self._session, self.source = name, session, source

    def apart(self, source: str, name: str) -> "StandIn":
        """The function `name` of `source`, in a fresh process; lasts until the next."""
        return StandIn(name, self._session.alone(source), source)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function in the box."""
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
    where = [line for line in lines[:MAX_LINES] if isinstance(line, str)]
    error.add_note(
        f"(raised by your {name}" + "".join(f"\n{x}" for x in where[:-1]) + ")"
    )
    return error


# ------------------------------------------------------------------ a test cell


def judge(
    test: NotebookNode, namespace: dict[str, Any], session: Session
) -> list[NotebookNode]:
    """Run a test cell of ours; outputs from which nbgrader reads the points.

    What a lost point says is the test's own message: no code of the test is shown.
    """
    session.printed.clear()
    session.room = MAX_TEXT
    said, points = io.StringIO(), float(test.metadata.nbgrader.points)
    body, last = split(test.source)
    outputs = []
    try:
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            session.clock,
        ):
            exec(body, namespace)
            credit = eval(last, namespace) if last else None
        outputs = result(credit, points)
    except (Exception, TooLong) as error:
        if isinstance(error, TooLong):
            session.limits.append(str(error))
        outputs = [error_output(type(error).__name__, message(error))]
    text = clean("".join(session.printed) + said.getvalue())
    return [*([new_output("stream", text=text)] if text else []), *outputs]


def split(source: str) -> tuple[CodeType, CodeType | None]:
    """The statements of a test, and its last expression if it ends in one."""
    tree = ast.parse(source)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = compile(ast.Expression(tree.body.pop().value), "<test>", "eval")
    return compile(tree, "<test>", "exec"), last


def result(credit: Any, points: float) -> list[NotebookNode]:
    """Partial credit as the number that nbgrader reads, always from 0 to `points`.

    None and what is no number: all points. False: none. NaN or infinity: none, said.
    """
    if getattr(credit, "shape", None) == ():  # a scalar of numpy or torch
        credit = credit.item()
    if not isinstance(credit, numbers.Real):
        return []
    credit = float(credit) * (points if isinstance(credit, bool) else 1.0)
    if not math.isfinite(credit):
        return [error_output("ValueError", f"this test came to {credit}, no number")]
    text = repr(min(max(credit, 0.0), points))
    return [new_output("execute_result", {"text/plain": text})]


def message(error: Exception) -> str:
    """What an exception says, with the student's own lines where it is theirs."""
    text = str(error) or "a check failed that has no message"
    if isinstance(error, NotImplementedError) and not str(error):
        text = "not written yet"
    return clean("\n".join([text, *getattr(error, "__notes__", [])]))
