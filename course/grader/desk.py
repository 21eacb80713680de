"""Where a submission is graded: a process with a warm box, fed by a Dask worker.

    assess (in the worker) ── pickles over pipes ── main (at the desk) ── box

Worker and desk trust each other; what comes out of the box crosses as plain bytes only.
A desk that dies or takes too long is replaced, and its submission is tried once more;
then it ends as stopped. So every submission has a definite end.

Read in order: `Homework`, `Submission`, `assess`, `sit`.
"""

import contextlib
import hashlib
import os
import pickle
import select
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat

from course.grader import intake
from course.grader.box import ROOT, Box, Limits
from course.grader.gradebook import Graded
from course.grader.referee import error_output, grade

GRADER = Path(__file__).parent
GRACE_S = 90.0  # beyond a submission's limit: for importing torch, and for the tests
ATTEMPTS = 2  # at a submission whose desk died under it


@dataclass(frozen=True)
class Homework:
    """What a desk needs to know of a homework."""

    name: str
    source: str  # the instructor's notebook, hidden tests included, as JSON
    release: str  # what students were given, as JSON
    withheld: tuple[str, ...]
    limits: Limits

    @property
    def version(self) -> str:
        """A hash of all that decides a grade but the submission."""
        total = hashlib.sha256(repr(self).encode())
        for path in sorted(GRADER.glob("*.py")):
            total.update(path.read_bytes())
        return total.hexdigest()


@dataclass(frozen=True)
class Submission:
    """One student's file as it was found."""

    homework: str
    student: str
    content: bytes
    timestamp: str | None
    notes: tuple[str, ...] = ()
    rejected: str | None = None  # why it could not even be read

    def fingerprint(self, version: str) -> str:
        """A hash of what is graded and of what grades it."""
        total = hashlib.sha256(version.encode())
        for part in (self.content, self.timestamp, self.rejected, self.notes):
            total.update(repr(part).encode())
        return total.hexdigest()


# ------------------------------------------------------------------ in a Dask worker

_desks: dict[str, subprocess.Popen] = {}  # by the homework's version
_turn = threading.Lock()


def assess(homework: Homework, submission: Submission) -> Graded:
    """Grade one submission at this worker's desk; a definite end, whatever happens."""
    with _turn:
        for _ in range(ATTEMPTS):
            desk = _desks.get(homework.version) or open_desk(homework)
            with contextlib.suppress(EOFError, OSError, TimeoutError):
                return ask(desk, submission, homework.limits.total_s + GRACE_S)
            desk.kill()
            desk.wait()
            del _desks[homework.version]
    return ended(homework, submission, "stopped", ["grading it ended the grader"])


def open_desk(homework: Homework) -> subprocess.Popen:
    """Start a desk for a homework; others that this worker kept warm are let go."""
    for other in list(_desks):
        _desks.pop(other).stdin.close()
    desk = subprocess.Popen(
        [sys.executable, "-m", "course.grader.desk"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # a desk on every core
    )
    _desks[homework.version] = desk
    pickle.dump(homework, desk.stdin)
    desk.stdin.flush()
    return desk


def ask(desk: subprocess.Popen, submission: Submission, seconds: float) -> Graded:
    """Send a submission to the desk and wait: EOFError, OSError or TimeoutError."""
    pickle.dump(submission, desk.stdin)
    desk.stdin.flush()
    reply, end = bytearray(), time.monotonic() + seconds
    while not whole(reply):
        ready, _, _ = select.select([desk.stdout], [], [], end - time.monotonic())
        if not ready:
            raise TimeoutError
        piece = os.read(desk.stdout.fileno(), 1 << 20)
        if not piece:
            raise EOFError
        reply += piece
    return pickle.loads(memoryview(reply)[8:])


def whole(reply: bytearray) -> bool:
    """Whether all that its first 8 bytes announce has come."""
    return len(reply) >= 8 and len(reply) == 8 + int.from_bytes(reply[:8])


# ------------------------------------------------------------------ at the desk


def main() -> None:
    """Serve one homework's submissions until the worker hangs up."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a test's stray print must not get between the replies
    requests = sys.stdin.buffer
    homework = pickle.load(requests)
    with Box(homework.withheld, homework.limits) as box:
        while True:
            try:
                submission = pickle.load(requests)
            except EOFError:
                return
            reply = pickle.dumps(sit(homework, submission, box))
            replies.write(len(reply).to_bytes(8) + reply)
            replies.flush()


def sit(homework: Homework, submission: Submission, box: Box) -> Graded:
    """Take a submission in, grade it, and put its end into words."""
    if submission.rejected:
        return ended(homework, submission, "rejected", [submission.rejected])
    release = nbformat.reads(homework.release, as_version=4)
    try:
        taken = intake.rebuild(release, intake.parse(submission.content))
    except intake.Rejected as why:
        return ended(homework, submission, "rejected", [str(why)])
    verdict = grade(nbformat.reads(homework.source, as_version=4), taken, box)
    return replace(
        ended(homework, submission, verdict.state, verdict.limits),
        notebook=nbformat.writes(verdict.notebook),
        notes=[*submission.notes, *verdict.notes],
    )


def ended(
    homework: Homework, submission: Submission, state: str, reasons: list[str]
) -> Graded:
    """How a submission ended; its notebook is our release, every test unpassed."""
    unpassed = nbformat.reads(homework.release, as_version=4)
    for cell in unpassed.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade"):
            cell.outputs = [error_output(state.capitalize(), "; ".join(reasons))]
    return Graded(
        homework=homework.name,
        student=submission.student,
        notebook=nbformat.writes(unpassed),
        fingerprint=submission.fingerprint(homework.version),
        state=state,
        reasons=reasons,
        notes=list(submission.notes),
        timestamp=submission.timestamp,
    )


if __name__ == "__main__":
    # Pickles name course.grader.desk, whichever name this process was started under.
    from course.grader.desk import main as serve

    serve()
