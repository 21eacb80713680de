"""The tests run here, outside the box, over stand-ins of the student's functions.

    our cell       runs in both: imports for the tests, imports for the student
    their cell     runs in the box; what it shows is checked and kept
    a test cell    runs here, from our source, hidden parts included:
                   passed → all points, error → 0, a number last → partial credit

In the tests' namespace a student's function is a `StandIn`: a call sends plain bytes
and gets plain bytes. So a test sees numbers and tensors that are really numbers and
tensors, and nothing of the student's runs beside it.

Read in order: `grade`, `judge`, `result`; the session is session.py's.
"""

import ast
import contextlib
import io
import math
import numbers
import sys
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from course.grader.box.box import Box
from course.grader.box.sandbox import Stopped
from course.grader.judging.clock import TooLong
from course.grader.judging.intake import Intake
from course.grader.judging.outputs import error_output
from course.grader.judging.places import grade_id, is_answer
from course.grader.judging.session import Session, StandIn
from course.grader.judging.source import functions, plain, without
from course.grader.words import MAX_TEXT, clean, quoted

THEIRS = "the student's code"  # before every line of it
PERHAPS = "may quote the student's code"  # a test's message may have a value in it
MAX_NOTES = 30
LEFT_OUT = (
    "'{:.100}' was left out: it is what this homework asks you to write; take "
    "the line out, and where you use its names, put yours in their place"
)


@dataclass
class Verdict:
    """A graded notebook: outputs in place, and how it ended."""

    notebook: NotebookNode
    state: str = "graded"  # or "stopped"
    limits: list[str] = field(default_factory=list)  # that were hit
    by_time: bool = False  # whether one of time is among them
    notes: list[str] = field(default_factory=list)


def grade(
    source: NotebookNode, intake: Intake, box: Box, withheld: tuple[str, ...] = ()
) -> Verdict:
    """Run a submission's cells in `box` and the tests of `source` here.

    `source` is the instructor's notebook, whose test cells have their hidden parts and
    whose answer cells tell which functions there are. What is `withheld` is left out of
    a cell's imports. Never raises for what a student did; outputs are written into the
    notebook, and decide the points.
    """
    ours = {grade_id(cell): cell for cell in source.cells if grade_id(cell)}
    verdict = Verdict(intake.notebook, notes=list(intake.notes))
    tests: dict[str, Any] = {"__name__": "tests"}
    limits: list[Stopped | TooLong] = []
    with contextlib.closing(Session(box, limits)) as session:
        for cell in intake.notebook.cells:
            if cell.cell_type != "code":
                continue
            original = ours.get(grade_id(cell))
            mine = original is not None and is_answer(original)  # a person may grade it
            if original is not None and original.metadata.nbgrader.grade and not mine:
                cell.outputs = judge(original, tests, session)
                continue
            theirs, text = bool(cell.metadata.get("theirs")), cell.source
            if theirs or mine:
                text, gone = without(plain(text), withheld)
                verdict.notes += map(LEFT_OUT.format, gone)
            if theirs:
                cell.outputs = session.try_out(text)
                continue
            cell.outputs = session.run(text, pictures=mine)
            if original is not None and mine:
                answer, _ = without(plain(intake.texts[grade_id(cell)]), withheld)
                for name in functions(original.source):
                    tests[name] = StandIn(name, session, answer)
            else:
                session.ours.append(cell.source)
                run_ours(cell.source, tests, session)
    for number, cell in enumerate(
        cell for cell in intake.notebook.cells if cell.cell_type == "code"
    ):
        cell.execution_count = number + 1
    verdict.notes = [*dict.fromkeys(verdict.notes + session.notes())][:MAX_NOTES]
    verdict.state = "stopped" if limits else "graded"
    verdict.limits = [str(limit) for limit in limits]
    verdict.by_time = any(limit.by_time for limit in limits)
    return verdict


def run_ours(source: str, namespace: dict[str, Any], session: Session) -> None:
    """Run a cell of ours that is no test; it may fail on what a student wrote.

    One that comes to no end is a limit: the tests that need its names cannot pass.
    """
    said = contextlib.redirect_stdout(io.StringIO())
    try:
        with contextlib.suppress(Exception), said, session.clock:
            exec(compile(source, "<ours>", "exec"), namespace)
    except TooLong as limit:
        session.limits.append(limit)
    if "matplotlib.pyplot" in sys.modules:  # nobody sees what a cell drew here
        sys.modules["matplotlib.pyplot"].close("all")


def judge(
    test: NotebookNode, namespace: dict[str, Any], session: Session
) -> list[NotebookNode]:
    """Run a test cell of ours; outputs from which nbgrader reads the points.

    What a lost point says is the test's own message: no code of the test is shown.
    """
    session.box.journal.undo()  # no test sees what a function changed in another's
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
            session.limits.append(error)
        outputs = [error_output(type(error).__name__, message(error))]
    text = clean(said.getvalue()) + clean(quoted("".join(session.printed), THEIRS))
    return [*([new_output("stream", text=text)] if text else []), *outputs]


def split(source: str) -> tuple[CodeType, CodeType | None]:
    """The statements of a test, and its last expression if it ends in one."""
    tree = ast.parse(source)
    last = None
    match tree.body:
        case [*before, ast.Expr(value)]:
            last = compile(ast.Expression(value), "<test>", "eval")
            tree.body = before
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


def message(error: BaseException) -> str:
    """What an exception says: its first line as it is, and whose the others may be."""
    text = str(error) or "a check failed that has no message"
    if isinstance(error, NotImplementedError) and not str(error):
        text = "not written yet"
    says, *more = text.splitlines() or [""]
    if not (notes := getattr(error, "__notes__", [])):
        return clean("\n".join([says, quoted("\n".join(more), PERHAPS)]).rstrip())
    whose, *where = "\n".join(notes).splitlines()  # as session.py words it
    said, traced = (quoted("\n".join(part), THEIRS) for part in (more, where))
    return clean(f"{says}\n{said}{whose}\n{traced}".rstrip())
