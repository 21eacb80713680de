"""Grade a class: submissions out to every core or machine, grades back to one writer.

    submitted/ ─ read ─ Dask worker ─ desk ─ box and referee
                             └─→ gradebook (here, one writer)

A submission travels as bytes and comes back as a graded notebook, so that workers need
no shared disk. A desk (desk.py) is a process of its own beside the Dask worker: the
student's code is in its box, the tests are at the desk, and neither is in the worker.
Whatever is killed, run it again: what is sealed stays, any other is graded anew.

Read in order: `grade_class`, `pending`, `spread`.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from nbgrader.utils import parse_utc
from tqdm import tqdm
from traitlets.config import Config

from course.grader import intake
from course.grader.desk import Homework, Submission, assess
from course.grader.gradebook import Gradebook, Graded

RETRIES = 3  # of a task whose Dask worker died under it


def grade_class(
    root: Path,
    config: Config,
    homeworks: list[Homework],
    *,
    students: list[str] | None = None,
    cluster: str | None = None,
    workers: int | None = None,
    force: bool = False,
) -> list[tuple[Graded, float, float]]:
    """Grade what is in root/submitted; (graded, score, maximum) of every submission.

    `cluster` is the address of a Dask scheduler; without one, this machine's cores are
    used. What was graded before, and has not changed, is not graded again.
    """
    done = []
    with Gradebook(config, root) as book:
        todo = []
        for homework in homeworks:
            for submission in pending(root, homework, students):
                seal = book.seal_of(homework.name, submission.student)
                if not force and seal.get("fingerprint") == submission.fingerprint(
                    homework.version
                ):
                    standing = book.standing(homework.name, submission.student)
                    done.append((Graded(notebook="", **seal), *standing))
                else:
                    todo.append((homework, submission))
        for graded in tqdm(
            spread(todo, cluster, workers), "grading", len(todo), disable=not todo
        ):
            done.append((graded, *book.save(graded)))
    return sorted(done, key=lambda row: (row[0].homework, row[0].student))


def pending(
    root: Path, homework: Homework, students: list[str] | None = None
) -> Iterator[Submission]:
    """The submissions of a homework, read safely, in the order of their students."""
    for folder in sorted((root / "submitted").glob(f"*/{homework.name}")):
        student = folder.parent.name
        if students is not None and student not in students:
            continue
        content, notes, rejected = b"", [], None
        try:
            content, notes = intake.read_file(folder, homework.name)
        except intake.Rejected as why:
            rejected = str(why)
        yield Submission(
            homework.name,
            student,
            content,
            read_timestamp(folder),
            tuple(notes),
            rejected,
        )


def read_timestamp(folder: Path) -> str | None:
    """When it was handed in, as the exchange wrote it; None where nobody did."""
    path = folder / "timestamp.txt"
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 100:
        return None
    text = path.read_text(errors="replace").strip()
    with contextlib.suppress(ValueError):
        parse_utc(text)
        return text
    return None


def spread(
    todo: list[tuple[Homework, Submission]], cluster: str | None, workers: int | None
) -> Iterator[Graded]:
    """Grade on Dask's workers; yield each submission as it is finished."""
    if not todo:
        return
    from distributed import Client, LocalCluster, as_completed

    with contextlib.ExitStack() as stack:
        if cluster is None:
            cores = min(workers or os.cpu_count(), len(todo))
            local = LocalCluster(
                n_workers=cores,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=50,
            )
            cluster = stack.enter_context(local)
        client = stack.enter_context(Client(cluster))
        homeworks = {
            homework.name: client.scatter(homework, broadcast=True)
            for homework in {h.name: h for h, _ in todo}.values()
        }
        futures = [
            client.submit(assess, homeworks[h.name], s, pure=False, retries=RETRIES)
            for h, s in todo
        ]
        for future in as_completed(futures):
            yield future.result()
            future.release()
