"""Grades into nbgrader's own database: one writer, one commit a submission.

    graded notebook → autograded/STUDENT/HOMEWORK/ → rows → stamp

What nbgrader's autograde leaves behind is left behind here, so that the formgrader, the
exports and the statistics show it as always: the student, the submission and its time,
an automatic score for each test, and what a person has still to read. Manual scores and
comments stay. The stamp, a small file written last, says which submission these grades
are of: what is stamped is not graded twice, and what was interrupted is graded again.

Read in order: `Gradebook.save`, `stamp_of`, `count_lateness`, `everyones`.
"""

import contextlib
import errno
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from nbformat import NotebookNode, v4
from nbformat.v4 import new_markdown_cell
from nbgrader import utils
from nbgrader.api import Gradebook as Database
from nbgrader.api import MissingEntry, SubmittedNotebook
from nbgrader.preprocessors import AssignLatePenalties
from sqlalchemy.exc import OperationalError
from traitlets.config import Config

from course.grader.pages.renderer import Renderer
from course.grader.pages.shown import harmless
from course.grader.terms import Graded
from course.grader.worksheets.fill import Standing

STAMP = ".graded.json"
TIME, SECRET = "timestamp.txt", "submission_secret.txt"  # nbgrader's names
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE}
LOCK = ".grading.lock"
PATIENCE_S = 30  # while another program writes to the database


class Busy(RuntimeError):  # noqa: N818
    """Another grading run is writing to this course."""


class Gradebook:
    """The course's database, its autograded folder, its stamps. For a `with`.

    Entering it raises `Busy` where another run is writing to this course. `renderer`
    makes its pages.
    """

    def __init__(self, config: Config, root: Path) -> None:
        self.folder, self.lock = root / "autograded", root / LOCK
        course = config.CourseDirectory
        waiting = f"?timeout={PATIENCE_S}" if course.db_url.startswith("sqlite") else ""
        self.database = Database(course.db_url + waiting, course.course_id)
        self.lateness = AssignLatePenalties(config=config)
        self.lateness.init_plugin()
        self.renderer = Renderer()

    def __enter__(self) -> "Gradebook":
        self.held = self.lock.open("w")
        try:
            fcntl.flock(self.held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.held.close()
            self.database.close()
            raise Busy("another `make grade` is running on this course") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.renderer.close()
        self.database.close()
        self.held.close()

    def place(self, homework: str, student: str) -> Path:
        """The folder that the formgrader reads a graded submission from."""
        return self.folder / student / homework

    def stamp_of(self, homework: str, student: str) -> Graded | None:
        """An earlier grading; None if there was none, or it never came to its end."""
        try:
            stamp = json.loads((self.place(homework, student) / STAMP).read_text())
            self.database.find_submission(homework, student)
            return Graded(notebook="", **stamp)
        except (OSError, ValueError, TypeError, MissingEntry):
            return None

    def save(self, graded: Graded, secret: str | None = None) -> None:
        """Write a submission down; half-way is as good as not at all.

        `secret` is what its page is named by in nbgrader's exchange. Raises what the
        database, the disk, or a name that is none raises, after taking it back.
        """
        folder = self.place(graded.homework, graded.student)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STAMP).unlink(missing_ok=True)
        nb = v4.reads(graded.notebook)  # ours: the desk has validated it
        shown = with_word(harmless(nb, self.renderer), graded)
        with self.committed():
            self.enter(graded, nb)
        write(folder / f"{graded.homework}.ipynb", v4.writes(shown))
        for name, text in ((TIME, graded.timestamp), (SECRET, secret)):
            if text:
                write(folder / name, text)
            else:
                (folder / name).unlink(missing_ok=True)
        stamp = {k: v for k, v in asdict(graded).items() if k != "notebook"}
        write(folder / STAMP, json.dumps(stamp, indent=1))

    @contextlib.contextmanager
    def committed(self) -> Iterator[None]:
        """Keep all that happens in a `with`, or nothing of it."""
        try:
            yield
            self.database.db.commit()
        except BaseException:
            self.database.db.rollback()
            raise

    def enter(self, graded: Graded, nb: NotebookNode) -> None:
        """Set the automatic score of every test, and what a person has to read."""
        database = self.database
        database.update_or_create_student(graded.student)
        when = {"timestamp": graded.timestamp} if graded.timestamp else {}
        with database.db.no_autoflush:  # nbgrader adds rows child first
            submission = database.update_or_create_submission(
                graded.homework, graded.student, **when
            )
        (notebook,) = submission.notebooks
        grades = {grade.name: grade for grade in notebook.grades}
        comments = {comment.name: comment for comment in notebook.comments}
        for cell in nb.cells:
            if utils.is_grade(cell):
                grade = grades[cell.metadata.nbgrader.grade_id]
                grade.auto_score, _ = utils.determine_grade(cell)
                doubtful = grade.manual_score is not None  # a person looks once more
                grade.needs_manual_grade = doubtful or grade.auto_score is None
            if utils.is_solution(cell):
                stub = cell.metadata.nbgrader.get("checksum")
                silent = utils.compute_checksum(cell) == stub
                comment = comments[cell.metadata.nbgrader.grade_id]
                comment.auto_comment = "No response." if silent else None
        self.punish_lateness(notebook)

    def punish_lateness(self, notebook: SubmittedNotebook) -> None:
        """Ask the course's own LateSubmissionPlugin, as nbgrader's autograde does."""
        late, penalty = notebook.assignment.total_seconds_late, None
        if late > 0:
            self.database.db.refresh(notebook)  # its score is a sum that SQL makes
            student, plugin = notebook.student.id, self.lateness.plugin_inst
            penalty = plugin.late_submission_penalty(student, notebook.score, late)
        if penalty is not None:
            penalty = min(max(penalty, 0.0), notebook.score)
        notebook.late_submission_penalty = penalty

    def count_lateness(self, homework: str, student: str) -> None:
        """Punish by the due date and the score as they are now."""
        with self.committed():
            for notebook in self.database.find_submission(homework, student).notebooks:
                self.punish_lateness(notebook)

    def penalty(self, homework: str, student: str) -> float:
        """The points that lateness costs now."""
        submission = self.database.find_submission(homework, student)
        return submission.late_submission_penalty or 0.0

    def standing(self, homework: str, student: str) -> tuple[float, float, bool]:
        """The score as it counts now, less lateness; the most there is; all read?"""
        submission = self.database.find_submission(homework, student)
        score = max(0.0, submission.score - (submission.late_submission_penalty or 0))
        return score, submission.max_score, not submission.needs_manual_grade

    def standings(self, homework: str) -> dict[str, Standing]:
        """What each student has whose submission was graded to its end."""
        found = {}
        for folder in sorted(self.folder.glob(f"*/{homework}")):
            student = folder.parent.name
            if (graded := self.stamp_of(homework, student)) is not None:
                score, _, read = self.standing(homework, student)
                found[student] = Standing(score, read and graded.state != "rejected")
        return found

    def points(self, homework: str) -> tuple[float, float]:
        """The homework's points, without and with its bonus."""
        (notebook,) = self.database.find_assignment(homework).notebooks
        worth = {cell.name: cell.max_score for cell in notebook.grade_cells}
        bonus = sum(p for name, p in worth.items() if name.startswith("bonus"))
        return sum(worth.values()) - bonus, sum(worth.values())

    def scores(self, homework: str, student: str) -> dict[str, dict]:
        """{grade_id: score, max, comment, manual} of a submission, for its feedback."""
        (notebook,) = self.database.find_submission(homework, student).notebooks
        comments = {c.name: c.comment for c in notebook.comments}
        found = {
            grade.name: {
                "score": grade.score,
                "auto": grade.auto_score,
                "max": grade.max_score,
                "manual": grade.needs_manual_grade,
                "comment": comments.get(grade.name),
            }
            for grade in notebook.grades
        }
        for name, comment in comments.items():
            found.setdefault(name, {"comment": comment})
        return found


def with_word(nb: NotebookNode, graded: Graded) -> NotebookNode:
    """The notebook, under a cell that says how grading went where that needs a word."""
    lines = []
    if graded.state == "rejected":
        lines.append("**This submission could not be graded.**")
    if graded.state == "stopped":
        lines.append("**A limit was hit; what needed more than that has no points.**")
    if graded.unsafe:
        lines.append("**Graded without a sandbox, at the instructor's own risk.**")
    lines += [f"- `{plain(line)}`" for line in [*graded.reasons, *graded.notes]]
    if lines:
        word = new_markdown_cell("\n".join(lines), id="from-the-grader")
        nb.cells.insert(0, word)
    return nb


def plain(text: str) -> str:
    """Text that means nothing in Markdown between backticks."""
    return " ".join(text.replace("`", "'").split())[:500]


def everyones(error: BaseException | None) -> bool:
    """Whether what was raised stops the whole class: the database, or a full disk.

    nbgrader raises its own errors over the database's.
    """
    if error is None:
        return False
    full = isinstance(error, OSError) and error.errno in FULL
    return isinstance(error, OperationalError) or full or everyones(error.__context__)


def write(path: Path, text: str) -> None:
    """Write all of `text` or nothing; raises OSError, of a full disk for instance."""
    replace_file(path, text.encode("utf-8"))


def replace_file(path: Path, content: bytes) -> None:
    """Write all of `content` or nothing; raises OSError likewise."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError:  # a full disk: what was written of it helps nobody
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
