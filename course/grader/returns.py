"""What students get back: a page of feedback for each graded submission.

    autograded notebook + gradebook → feedback/STUDENT/HOMEWORK/HOMEWORK.html

Written from the gradebook as it stands, manual scores and comments included, where
nbgrader's own feedback goes; so run it once more when the reading is done. Beside a
page lie the two files by which `nbgrader release_feedback` gives it to its student.

Read in order: `return_feedback`, `page_of`, `write_keys`.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from traitlets.config import Config

from course.grader.feedback import feedback
from course.grader.gradebook import SECRET, TIME, Gradebook, everyones, write
from course.grader.words import line


@dataclass
class Returned:
    """Pages that changed, and why there is none: {(student, homework): reason}."""

    changed: list[Path] = field(default_factory=list)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)


def return_feedback(
    root: Path,
    config: Config,
    homeworks: list[str],
    students: list[str] | None = None,
) -> Returned:
    """Write the page of every graded submission, lateness counted anew.

    A page that cannot be made is that student's alone. Raises `Busy` where a grading
    run is writing, and what the database and a full disk raise.
    """
    done = Returned()
    with Gradebook(config, root) as book:
        for homework in homeworks:
            for folder in sorted((root / "autograded").glob(f"*/{homework}")):
                student = folder.parent.name
                if students is not None and student not in students:
                    continue
                if book.stamp_of(homework, student) is None:
                    continue  # it was never graded to its end
                path = root / "feedback" / student / homework / f"{homework}.html"
                try:
                    book.count_lateness(homework, student)
                    page = page_of(book, homework, student)
                    write_keys(folder, path.parent)
                    if not path.exists() or path.read_text(encoding="utf-8") != page:
                        write(path, page)
                        done.changed.append(path)
                except Exception as error:
                    if everyones(error):
                        raise
                    done.failed[student, homework] = line(
                        f"{type(error).__name__}: {error}"
                    )
    return done


def page_of(book: Gradebook, homework: str, student: str) -> str:
    """A student's page; raises what an autograded notebook that is none raises."""
    path = book.place(homework, student) / f"{homework}.ipynb"
    return feedback(
        nbformat.read(path, as_version=4),
        book.scores(homework, student),
        book.renderer,
        title=f"{homework}: {student}",
        penalty=book.penalty(homework, student),
    )


def write_keys(graded: Path, folder: Path) -> None:
    """Lay beside a page what names it in nbgrader's exchange: a secret, and a time.

    Where one is missing, `nbgrader release_feedback` ends for the whole class. Who
    handed in without a secret gets one that nobody knows, and the page from a person.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, otherwise in ((SECRET, secrets.token_hex(64)), (TIME, "unknown")):
        known, there = graded / name, folder / name
        if known.exists():
            write(there, known.read_text())
        elif not there.exists():
            write(there, otherwise)
