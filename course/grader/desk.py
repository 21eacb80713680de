"""Where a submission is graded: a process with a warm box and the tests in it.

    homework, then submissions, in → "" or why not, then graded notebooks, out

Started by worker.py, which it trusts; it ends when the worker hangs up. What the tests
import is there before the first of them, and is not searched for garbage.

Read in order: `main`, `sit`.
"""

import ast
import contextlib
import gc
import importlib
import os
import pickle
import resource
import sys
import traceback
from dataclasses import replace

import nbformat
from nbformat import v4

from course.grader.box.box import Box
from course.grader.judging.clock import Clock, TooLong
from course.grader.judging.intake import rebuild
from course.grader.judging.parsing import Rejected, parse
from course.grader.judging.referee import grade
from course.grader.terms import Graded, Homework, NoBox, Submission
from course.grader.words import clean
from course.grader.worker import ended

READING_S = 60.0  # of processor time: an honest notebook takes a tenth of one


def main() -> None:
    """Serve one homework's submissions until the worker hangs up."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a test's stray print must not get between the replies
    requests = sys.stdin.buffer

    def reply(what: str | Graded) -> None:
        content = pickle.dumps(what)
        replies.write(len(content).to_bytes(8) + content)
        replies.flush()

    homework = pickle.load(requests)
    try:
        warm = imported(homework.release)
        box = Box(
            homework.withheld,
            homework.limits,
            boxed=homework.boxed,
            warm=warm,
            hidden=homework.hidden,
        )
    except NoBox as why:
        return reply(str(why))
    # A test's own work on a student's values; the box is started, and has its own limit
    resource.setrlimit(resource.RLIMIT_DATA, (2 * homework.limits.memory,) * 2)
    with box:
        for name in imported(homework.source):
            with contextlib.suppress(Exception):  # the cell that imports it will say
                importlib.import_module(name)
        gc.collect()
        gc.freeze()
        gc.enable()
        reply("")
        while True:
            try:
                submission = pickle.load(requests)
            except EOFError:
                return None
            try:
                reply(sit(homework, submission, box))
            except BrokenPipeError:  # the worker was killed
                with contextlib.suppress(BrokenPipeError):
                    replies.close()
                return None


def imported(notebook: str) -> tuple[str, ...]:
    """The modules that a notebook's cells import, in their order."""
    code = [
        cell.source for cell in v4.reads(notebook).cells if cell.cell_type == "code"
    ]
    found: dict[str, None] = {}
    for node in (node for source in code for node in ast.walk(ast.parse(source))):
        match node:
            case ast.Import(names):
                found |= dict.fromkeys(alias.name for alias in names)
            case ast.ImportFrom(str(module), level=0):
                found[module] = None
    return tuple(found)


def sit(homework: Homework, submission: Submission, box: Box) -> Graded:
    """Take a submission in, grade it, and put its end into words."""
    release, source = map(v4.reads, (homework.release, homework.source))
    try:
        with Clock(READING_S, READING_S):
            taken = rebuild(release, parse(submission.content))
        verdict = grade(source, taken, box, homework.withheld)
    except TooLong:
        why = (
            "reading it has no end: clear its outputs, delete cells that you don't need"
        )
        return ended(homework, submission, "rejected", [why])
    except Rejected as why:
        return ended(homework, submission, "rejected", [str(why)])
    except Exception as error:  # no submission may end the class's grading
        print(clean(traceback.format_exc()), file=sys.stderr)
        cause = f"the grader could not go on ({type(error).__name__}: {error})"
        return ended(homework, submission, "stopped", [cause])
    return replace(
        ended(homework, submission, verdict.state, verdict.limits),
        notebook=nbformat.writes(verdict.notebook),
        notes=[*submission.notes, *verdict.notes],
        by_time=verdict.by_time,
    )
