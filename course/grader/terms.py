"""What passes between the parts of the grader, in plain words; imports nothing heavy.

    Homework, Submission → desk → Graded → gradebook

Read in order: `Limits`, `Homework`, `judges`, `Submission`, `Graded`.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from course.grader.words import lines

GRADER = Path(__file__).resolve().parent
ROOT = GRADER.parents[1]
EXERCISES = ROOT / "lib" / "exercises"  # found by its path: importing it takes torch
JUDGES = (
    "desk.py",
    "worker.py",
    "words.py",
    "box",
    "judging",
)  # files and folders of this one
STATES = ("graded", "rejected", "stopped")


class NoBox(RuntimeError):  # noqa: N818
    """Bubblewrap is missing or cannot start here; the message says how to get it."""


PATIENCE = 10  # a limit of time is hit after so many times its wall time, anyhow


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Raises ValueError for what is not positive.

    Seconds are the processor's, of all processes, or slept (box/meter.py).
    """

    call_s: float = 30.0  # for one call of one function, or one cell
    total_s: float = 240.0  # for the whole submission; and for its tests' own work
    extras_s: float = 60.0  # for all cells of the student's own, beside that
    test_s: float = 45.0  # of the processor, for a test's own work on what came back
    memory: int = 4 << 30  # bytes, resident or asked for
    files: int = 256 << 20  # bytes written to its private folder
    processes: int = 32  # processes and threads

    @property
    def all_s(self) -> float:
        """Of a submission's own time, extra cells too, and of its tests'."""
        return self.total_s + self.extras_s + self.total_s

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name}={value} must be positive")


@dataclass(frozen=True)
class Homework:
    """What a desk needs to know of a homework."""

    name: str
    source: str  # the instructor's notebook, hidden tests included, as JSON
    release: str  # what students were given, as JSON
    withheld: tuple[str, ...]
    limits: Limits
    boxed: bool = True  # False: at the instructor's own risk
    hidden: tuple[str, ...] = field(default=(), repr=False)  # paths; decides no grade

    @property
    def version(self) -> str:
        """A hash of all that decides a grade but the submission (and most of `lib`)."""
        total = hashlib.sha256(repr(self).encode())
        for path in judges():
            content = path.read_bytes()
            total.update(f"{path.name} {len(content)} ".encode())
            total.update(content)
        return total.hexdigest()


def judges() -> list[Path]:
    """The files that decide a grade: the grader's own, and all of lib/exercises."""
    found: list[Path] = []
    for place in (*(GRADER / name for name in JUDGES), EXERCISES):
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        found += [f for f in files if f.is_file() and "__pycache__" not in f.parts]
    return found


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


@dataclass
class Graded:
    """One submission after grading: enough to write it down.

    What it says is cleaned here, once for pages, stamps and the terminal. Raises
    ValueError for a state that is none of `STATES`.
    """

    homework: str
    student: str
    notebook: str  # JSON
    fingerprint: str  # of what was graded, and by what
    state: str
    reasons: list[str] = field(default_factory=list)  # the limits, or why rejected
    notes: list[str] = field(default_factory=list)
    timestamp: str | None = None  # as handed in
    unsafe: bool = False  # graded without a box
    by_time: bool = False  # stopped by a limit of time

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state={self.state!r} is none of {STATES}")
        self.reasons, self.notes = lines(self.reasons), lines(self.notes)
