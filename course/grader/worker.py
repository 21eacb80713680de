"""What a Dask worker does with a submission: hand it to a desk of its own, and wait.

    assess (in the worker) ── pickles over pipes ── desk.py (a process) ── box

A *desk* is a process in which one homework is graded: it has a warm box, and the tests.
Worker and desk trust each other; what comes out of the box crosses as plain bytes only.
A desk that dies is replaced, and its submission is tried once more; then it ends as
stopped, as it does at once where a desk takes too long. So every submission has a
definite end, and a worker needs neither torch nor a student's code in its own process.

Read in order: `assess`, `open_desk`, `ask`, `ended`.
"""

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

from course.grader.terms import PATIENCE, ROOT, Graded, Homework, NoBox, Submission
from course.grader.words import lines

OPENING_S = 1200.0  # for importing torch twice on a busy machine
SLOW = "grading it came to no end, though all that it does has limits"
ATTEMPTS = 2  # at a submission whose desk died under it

_desks: dict[str, subprocess.Popen] = {}  # by the homework's version
_turn = threading.Lock()


def assess(homework: Homework, submission: Submission) -> Graded:
    """Grade one submission at this worker's desk; a definite end, whatever happens.

    Raises `NoBox` where this machine has no bubblewrap.
    """
    if submission.rejected:
        return ended(homework, submission, "rejected", [submission.rejected])
    version = homework.version
    with _turn:
        for _ in range(ATTEMPTS):
            desk = _desks.get(version) or open_desk(homework, version)
            try:
                return ask(desk, submission, PATIENCE * homework.limits.all_s)
            except TimeoutError:
                let_go(version)
                slow = ended(homework, submission, "stopped", [SLOW])
                return replace(slow, by_time=True)
            except (EOFError, OSError):
                let_go(version)
    return ended(homework, submission, "stopped", ["grading it ended the grader"])


def let_go(version: str) -> None:
    """End a desk that died, or has to."""
    desk = _desks.pop(version)
    desk.kill()
    desk.wait()


def open_desk(homework: Homework, version: str) -> subprocess.Popen:
    """Start a desk for a homework; others that this worker kept warm are let go.

    Raises `NoBox` where the desk finds no bubblewrap, RuntimeError where it does not
    open at all.
    """
    for other in list(_desks):
        requests, _ = pipes(_desks.pop(other))
        requests.close()
    desk = subprocess.Popen(
        [sys.executable, "-m", "course.grader.desk"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=desk_environment(),
    )
    try:
        refusal = ask(desk, homework, OPENING_S)
    except (EOFError, OSError, TimeoutError) as error:
        desk.kill()
        raise RuntimeError(f"no desk could be opened ({error!r})") from None
    if refusal:
        desk.wait()
        raise NoBox(refusal)
    _desks[version] = desk
    return desk


def desk_environment() -> dict[str, str]:
    """One thread, since there is a desk on every core; and memory that is kept.

    Dask has its workers return every freed page at once. A desk would ask for the same
    pages again with the next layer of a model.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    return inherited | {"OMP_NUM_THREADS": "1"}


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
