"""What lies beside a handed-in notebook: when it came, and the secret of its page.

    timestamp.txt, the exchange's own clock → a time in UTC, and notes for a person
    submission_secret.txt → what names the page of feedback in nbgrader's exchange

Both files are written on the student's side. A time of theirs counts, unless the
exchange knows better: its disk notes when a file's content was last changed (`ctime`,
which its owner can move forward, and never back).

Read in order: `Exchange.time_of`, `came`, `read_secret`.
"""

import contextlib
import os
import re
import stat
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from traitlets.config import Config

from course.grader.gradebook import SECRET, TIME
from course.grader.judging import parsing
from course.grader.words import line
from course.grader.zips.times import in_utc

MAX_TRIES = 20  # submissions of somebody's, and notebooks in one, that are looked at
MAX_BESIDE = 1_000  # bytes of such a file; nbgrader writes 30 and 128
TOLERANCE = timedelta(minutes=5)  # for copying, and clocks that differ
FORM = "%Y-%m-%d %H:%M:%S.%f UTC"  # nbgrader's own
TOKEN = re.compile(r"[0-9a-f]{64,256}", re.ASCII)


class Exchange:
    """The folder in which nbgrader's exchange receives a course's submissions."""

    def __init__(self, config: Config) -> None:
        exchange = config.get("Exchange", Config())
        self.zone = str(exchange.get("timezone", "UTC"))
        course = str(config.get("CourseDirectory", Config()).get("course_id", ""))
        self.inbound = Path(str(exchange.get("root", ""))) / course / "inbound"
        self.found: defaultdict[str, list[str]] = defaultdict(list)
        with contextlib.suppress(OSError):  # no exchange: nothing is known
            for name in os.listdir(self.inbound):
                self.found[name.rsplit("+", 2)[0]].append(name)
                self.found[name.rsplit("+", 1)[0]].append(name)

    def time_of(self, student: str, homework: str, content: bytes) -> datetime | None:
        """When these bytes first lay in the exchange; None where they do not."""
        times = [
            time
            for name in self.of(student, homework)
            if (time := changed(self.inbound / name, content))
        ]
        return min(times, default=None)

    def of(self, student: str, homework: str) -> list[str]:
        """The folders in which somebody's work came, the newest of them."""
        return sorted(self.found[f"{student}+{homework}"])[-MAX_TRIES:]


def changed(folder: Path, content: bytes) -> datetime | None:
    """When the disk last saw a change of a notebook with this content; None without.

    Its name is no matter: a notebook of any name is graded.
    """
    with (
        contextlib.suppress(OSError, parsing.Rejected),
        parsing.opened(folder) as place,
    ):
        names = [x for x in os.listdir(place) if x.lower().endswith(".ipynb")]
        times = [
            changed_file(name, place, content) for name in sorted(names)[:MAX_TRIES]
        ]
        return min((time for time in times if time), default=None)
    return None


def changed_file(name: str, place: int, content: bytes) -> datetime | None:
    """When the disk last saw a change of a plain file; None if it says otherwise."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with (
        contextlib.suppress(OSError),
        open(os.open(name, flags, dir_fd=place), "rb") as file,
    ):
        facts = os.fstat(file.fileno())
        same = stat.S_ISREG(facts.st_mode) and facts.st_size == len(content)
        if same and file.read(len(content) + 1) == content:
            return datetime.fromtimestamp(facts.st_ctime, UTC)
    return None


def came(
    folder: Path, homework: str, content: bytes, exchange: Exchange | None
) -> tuple[str | None, list[str]]:
    """When a submission came, in nbgrader's form, and what a person should know."""
    claimed, notes = read_time(folder, exchange.zone if exchange else "UTC")
    who = folder.parent.name
    known = exchange and exchange.time_of(who, homework, content)
    if known and (claimed is None or known > claimed + TOLERANCE):
        said = claimed.strftime(FORM) if claimed else "nothing that can be read"
        notes = [
            f"by the exchange's clock it came {known:%Y-%m-%d %H:%M} UTC, "
            f"and that counts; its {TIME} says {said}"
        ]
        claimed = known
    elif claimed and not known and exchange and exchange.of(who, homework):
        notes = [f"what the exchange has is not this file: its {TIME} is a claim"]
    elif claimed is None and notes:
        notes = [f"{note}; so nobody knows whether it is late" for note in notes]
    return claimed.strftime(FORM) if claimed else None, notes


def read_time(folder: Path, zone: str) -> tuple[datetime | None, list[str]]:
    """What a submission's stamp says, and why it says nothing if it is there."""
    try:
        if (text := beside(folder, TIME)) is None:
            return None, []
        return in_utc(text.strip(), zone), []
    except ValueError as why:
        return None, [line(f"its {TIME} cannot be read: {why}")]


def read_secret(folder: Path) -> tuple[str | None, list[str]]:
    """The token that nbgrader made when it was handed in, and a note if it is none."""
    try:
        text = beside(folder, SECRET)
    except ValueError as why:
        return None, [line(f"its {SECRET} cannot be read: {why}")]
    if text is None or TOKEN.fullmatch(text):
        return text, []
    return None, [f"its {SECRET} is none of nbgrader's: give them the page yourself"]


def beside(folder: Path, name: str) -> str | None:
    """The text of a small file of a submission; None if there is none.

    Raises ValueError for a link, a pipe, and what is no text.
    """
    with parsing.opened(folder) as handle:
        if name not in os.listdir(handle):
            return None
        content = parsing.read(handle, name)
    if len(content) > MAX_BESIDE:
        raise ValueError(f"it has {len(content):,} bytes")
    return content.decode()
