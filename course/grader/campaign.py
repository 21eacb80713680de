"""Grade a class: submissions out to every core or machine, grades back to one writer.

    submitted/ ─ read ─ worker ─ desk ─ box and referee
                          └─→ gradebook (here, one writer)

A submission travels as bytes and comes back as a graded notebook, so that workers need
no shared disk. A desk (desk.py) is a process of its own beside the worker: the
student's code is in its box, the tests are at the desk, and neither is in the worker.
Workers are threads here, or a Dask cluster's (crew.py).
Whatever is killed, run it again: what is stamped stays, any other is graded anew.

Read in order: `grade_class`, `settled`, `read`, `spread`.
"""

import contextlib
import itertools
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm
from traitlets.config import Config

from course.grader.crew import hired
from course.grader.gradebook import Gradebook, everyones
from course.grader.handed_in import Exchange, came, read_secret
from course.grader.judging import parsing
from course.grader.terms import Graded, Homework, NoBox, Submission
from course.grader.words import line, lines

AHEAD = 4  # submissions on their way for each core: a class need not fit in memory

Task = tuple[Homework, Submission]


@dataclass(frozen=True)
class Row:
    """How a submission stands, for the table at the end."""

    student: str
    homework: str
    score: float | None
    maximum: float | None
    state: str  # graded, to be read, rejected, stopped; failed: no grade, run again
    reasons: tuple[str, ...] = ()
    unsafe: bool = False


def grade_class(
    root: Path,
    config: Config,
    homeworks: list[Homework],
    *,
    students: list[str] | None = None,
    cluster: str | None = None,
    workers: int | None = None,
    force: bool = False,
) -> list[Row]:
    """Grade what is in root/submitted; a row for every submission.

    `cluster` is the address of a Dask scheduler; without one, this machine's cores are
    used. What was graded before, and has not changed, is not graded again; its lateness
    is counted anew. What cannot be written down is that student's *failed* row. Raises
    `NoBox` where bubblewrap is missing, `Busy` where another run is writing, and what
    stops everybody: a gradebook that is locked, a full disk.
    """
    rows: list[Row] = []
    exchange = Exchange(config)
    folders = [
        (homework, folder)
        for homework in homeworks
        for folder in submitted(root, homework.name, students)
    ]
    with (
        Gradebook(config, root) as book,
        tqdm(total=len(folders), desc="grading", unit="hw", disable=not folders) as bar,
        ctrl_c() as check,
    ):

        def done(row: Row) -> None:
            rows.append(row)
            bar.update()

        def fresh() -> Iterator[Task]:
            for homework, folder in folders:
                submission = read(folder, homework.name, exchange)
                stamp = book.stamp_of(homework.name, submission.student)
                now = submission.fingerprint(homework.version)
                if force or stamp is None or stamp.fingerprint != now:
                    yield homework, submission
                else:
                    done(settled(book, submission, stamp))

        for (homework, submission), graded in spread(fresh(), cluster, workers):
            check()
            folder = root / "submitted" / submission.student / homework.name
            done(settled(book, submission, graded, folder))
    return sorted(rows, key=lambda row: (row.homework, row.student))


@contextlib.contextmanager
def ctrl_c() -> Iterator[Callable[[], None]]:
    """What raises KeyboardInterrupt if Ctrl-C was pressed and nobody noticed.

    Python raises it wherever it is at that moment; in a finalizer that is nowhere.
    """
    pressed = []

    def heed(*_: object) -> None:
        pressed.append(True)
        raise KeyboardInterrupt

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored, in a shell's background
        yield check
        return
    signal.signal(signal.SIGINT, heed)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


def settled(
    book: Gradebook,
    submission: Submission,
    graded: Graded | Exception,
    folder: Path | None = None,
) -> Row:
    """Write down what came of a submission (`folder`: it is new), and how it stands.

    A *failed* row where that is not possible; raises what stops everybody.
    """
    if isinstance(graded, Exception):
        return failed(submission, graded)
    try:
        if folder:
            secret, _ = read_secret(folder)
            book.save(graded, secret)
        else:
            book.count_lateness(graded.homework, graded.student)
        return row_of(book, graded, submission.notes)
    except Exception as error:
        if everyones(error):
            raise
        return failed(submission, error)


def failed(submission: Submission, error: Exception) -> Row:
    """A submission that has no grade; the next run tries it again."""
    why = line(f"{type(error).__name__}: {error}".partition("\n")[0])
    who = (submission.student, submission.homework)
    return Row(*who, None, None, "failed", (why,))


def row_of(book: Gradebook, graded: Graded, notes: tuple[str, ...]) -> Row:
    """A graded submission as it stands, and what a person should know of its file."""
    score, maximum, read_by_all = book.standing(graded.homework, graded.student)
    state = graded.state
    if state == "graded" and not read_by_all:
        state = "to be read"
    reasons = tuple(dict.fromkeys([*graded.reasons, *lines([*notes])]))
    who = (graded.student, graded.homework)
    return Row(*who, score, maximum, state, reasons, graded.unsafe)


def submitted(root: Path, homework: str, students: list[str] | None) -> list[Path]:
    """The folders that students handed a homework in with, in their order."""
    return [
        folder
        for folder in sorted((root / "submitted").glob(f"*/{homework}"))
        if students is None or folder.parent.name in students
    ]


def read(folder: Path, homework: str, exchange: Exchange | None = None) -> Submission:
    """What is in a submission's folder, read safely; `exchange` knows when it came."""
    content, notes, rejected = b"", list[str](), None
    try:
        content, notes = parsing.read_file(folder, homework)
    except parsing.Rejected as why:
        rejected = str(why)
    when, about_time = came(folder, homework, content, exchange)
    _, about_secret = read_secret(folder)
    notes = [*notes, *about_time, *about_secret]
    student = folder.parent.name
    return Submission(homework, student, content, when, tuple(notes), rejected)


# ------------------------------------------------------------------ over the workers


def spread(
    tasks: Iterator[Task], cluster: str | None, workers: int | None
) -> Iterator[tuple[Task, Graded | Exception]]:
    """Have all graded; yield each submission as it is finished.

    A few for each core are on their way at a time. One that its workers died of comes
    back as an exception, and the others go on; `NoBox` is raised. What a limit of time
    stopped is graded once more when all else is done, alone, and that counts.
    """
    first = next(tasks, None)
    if first is None:
        return
    tasks = itertools.chain([first], tasks)
    waiting, once_more = dict[Future[Graded], Task](), list[Task]()
    with hired(cluster, workers) as crew:

        def send(count: int) -> None:
            for task in itertools.islice(tasks, count):
                waiting[crew.give(*task)] = task

        send(1)
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                task, graded = waiting.pop(future), outcome(future)
                if isinstance(graded, Graded) and graded.by_time:
                    once_more.append(task)
                else:
                    yield task, graded
            send(max(1, AHEAD * crew.cores - len(waiting)))
        for task in once_more:
            yield task, outcome(crew.give(*task))


def outcome(future: Future[Graded]) -> Graded | Exception:
    """What a submission came to, once it has; an exception is returned, not raised.

    Raises `NoBox` where that is what it is, and what is no Exception.
    """
    error = future.exception()
    if isinstance(error, NoBox) or not isinstance(error, Exception | None):
        raise error
    return error or future.result()
