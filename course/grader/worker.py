"""Has submissions graded at a desk, a process of its own, and waits.

    assess (in the worker) ── pickles over pipes ── desk.py (a process) ── box

A *desk* is a process in which one homework is graded: it has a warm box, and the tests.
Worker and desk trust each other; what comes out of the box crosses as plain bytes only.
A desk that dies is replaced, and its submission is tried once more; then it ends as
stopped, as it does at once where a desk takes too long. So every submission has a
definite end, and a worker needs neither torch nor a student's code in its own process.

Read in order: `Worker.assess`, `Worker.open`, `ask`, `ended`.
"""

import contextlib
import os
import pickle
import select
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import IO, Any

from nbformat import v4
from nbformat.v4 import new_output

from course.grader.box.bubblewrap import KEPT
from course.grader.terms import PATIENCE, ROOT, Graded, Homework, NoBox, Submission
from course.grader.words import lines

OPENING_S = 1200.0  # for importing torch twice on a busy machine
SLOW = "grading it came to no end, though all that it does has limits"
DESK = "import gc; gc.disable(); from course.grader.desk import main; main()"
ATTEMPTS = 2  # at a submission whose desk died under it


class Worker:
    """Has one submission graded at a time, at a desk that it keeps warm."""

    def __init__(self) -> None:
        self.desk: subprocess.Popen | None = None
        self.version = ""  # of the homework whose desk it is
        self.retired = False
        self.turn, self.change = threading.Lock(), threading.Lock()

    def assess(self, homework: Homework, submission: Submission) -> Graded:
        """Grade a submission; a definite end, whatever happens.

        Raises `NoBox` where this machine has no bubblewrap, RuntimeError where no desk
        opens.
        """
        if submission.rejected:
            return ended(homework, submission, "rejected", [submission.rejected])
        with self.turn:
            for _ in range(ATTEMPTS):
                desk = self.at(homework)
                try:
                    return ask(desk, submission, PATIENCE * homework.limits.all_s)
                except TimeoutError:
                    self.let_go()
                    slow = ended(homework, submission, "stopped", [SLOW])
                    return replace(slow, by_time=True)
                except (EOFError, OSError):
                    self.let_go()
        return ended(homework, submission, "stopped", ["grading it ended the grader"])

    def at(self, homework: Homework) -> subprocess.Popen:
        """The desk of a homework, opened where it is not; another's is let go."""
        version = homework.version
        if self.desk is None or self.version != version:
            self.let_go()
            self.open(homework)
            self.version = version
        assert self.desk, "it is open"
        return self.desk

    def open(self, homework: Homework) -> None:
        """Start a desk for a homework.

        Raises `NoBox` where the desk finds no bubblewrap, RuntimeError where it does
        not open at all, or this worker is retired.
        """
        with self.change:
            if self.retired:
                raise RuntimeError("this worker is retired")
            desk = self.desk = subprocess.Popen(
                [sys.executable, "-c", DESK],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=desk_environment(),
                start_new_session=True,  # Ctrl-C is for the one who asks
            )
        try:
            refusal = ask(desk, homework, OPENING_S)
        except (EOFError, OSError, TimeoutError) as error:
            self.let_go()
            raise RuntimeError(f"no desk could be opened ({error!r})") from None
        if refusal:
            self.let_go()
            raise NoBox(refusal)

    def let_go(self) -> None:
        """End the desk, if there is one, and with it all that is in its box."""
        with self.change:
            desk, self.desk = self.desk, None
        if desk:
            desk.kill()
            desk.wait()
            for pipe in pipes(desk):
                with contextlib.suppress(OSError):  # what it never read
                    pipe.close()

    def retire(self) -> None:
        """End the desk in the middle of its work, if need be; no other is opened."""
        self.retired = True
        with self.change:
            if self.desk:
                self.desk.kill()
        with self.turn:  # who waited for it waits no more
            self.let_go()


_alone = Worker()  # this process's, where Dask gives it work


def assess(homework: Homework, submission: Submission) -> Graded:
    """Grade one submission at this process's own desk, as `Worker.assess` does."""
    return _alone.assess(homework, submission)


def desk_environment() -> dict[str, str]:
    """One thread, since there is a desk on every core; and memory that is kept.

    A page that was returned would be asked for again with the next layer of a model.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    return inherited | KEPT | {"OMP_NUM_THREADS": "1"}


def pipes(desk: subprocess.Popen) -> tuple[IO[bytes], IO[bytes]]:
    """Where a desk takes requests, and where its replies come from."""
    assert desk.stdin and desk.stdout, "it was opened with both"
    return desk.stdin, desk.stdout


def ask(desk: subprocess.Popen, what: object, seconds: float) -> Any:
    """Send `what` to the desk and wait for its reply.

    Raises EOFError or OSError where the desk died, TimeoutError after `seconds`.
    """
    requests, replies = pipes(desk)
    pickle.dump(what, requests)
    requests.flush()
    reply, end = bytearray(), time.monotonic() + seconds
    while not whole(reply):
        left = max(end - time.monotonic(), 0)
        if not select.select([replies], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(replies.fileno(), 1 << 20)
        if not piece:
            raise EOFError
        reply += piece
    return pickle.loads(memoryview(reply)[8:])


def whole(reply: bytearray) -> bool:
    """Whether all that its first 8 bytes announce has come."""
    return len(reply) >= 8 and len(reply) == 8 + int.from_bytes(reply[:8])


def ended(
    homework: Homework, submission: Submission, state: str, reasons: list[str]
) -> Graded:
    """How a submission ended; its notebook is our release, every test unpassed."""
    unpassed, reasons = v4.reads(homework.release), lines(reasons)
    why = {"ename": state.capitalize(), "evalue": "; ".join(reasons)}
    for cell in unpassed.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade"):
            cell.outputs = [new_output("error", traceback=[why["evalue"]], **why)]
    return Graded(
        homework=homework.name,
        student=submission.student,
        notebook=v4.writes(unpassed),
        fingerprint=submission.fingerprint(homework.version),
        state=state,
        reasons=reasons,
        notes=list(submission.notes),
        timestamp=submission.timestamp,
        unsafe=not homework.boxed,
    )
