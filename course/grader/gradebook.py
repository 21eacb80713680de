"""Grades into nbgrader's own database: one writer, one commit a submission.

    graded notebook → autograded/STUDENT/HOMEWORK/ → rows → seal

What nbgrader's autograde leaves behind is left behind here, so that the formgrader, the
exports and the statistics show it as always: the student, the submission and its time,
an automatic score for each test, and what a person has still to read. Manual scores and
comments stay. The seal, a small file written last, says which submission these grades
are of: what is sealed is not graded twice, and what was interrupted is graded again.

Read in order: `Gradebook.save`, `seal_of`.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from nbgrader import utils
from nbgrader.api import Gradebook as Database
from nbgrader.preprocessors import AssignLatePenalties
from traitlets.config import Config

SEAL = ".graded.json"
STATES = ("graded", "rejected", "stopped")


@dataclass
class Graded:
    """One submission after grading: enough to write it down."""

    homework: str
    student: str
    notebook: str  # JSON
    fingerprint: str  # of what was graded, and by what
    state: str
    reasons: list[str] = field(default_factory=list)  # the limits, or why rejected
    notes: list[str] = field(default_factory=list)
    timestamp: str | None = None  # as handed in
    unsafe: bool = False  # graded without a box

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state={self.state!r} is none of {STATES}")


class Gradebook:
    """The course's database, its autograded folder, its seals. For a `with`."""

    def __init__(self, config: Config, root: Path) -> None:
        self.config, self.folder = config, root / "autograded"
        self.url = config.CourseDirectory.db_url
        self.database = Database(self.url, config.CourseDirectory.course_id)

    def __enter__(self) -> "Gradebook":
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def place(self, homework: str, student: str) -> Path:
        """The folder that the formgrader reads a graded submission from."""
        return self.folder / student / homework

    def seal_of(self, homework: str, student: str) -> dict:
        """What is known of an earlier grading; empty if it never came to its end."""
        try:
            return json.loads((self.place(homework, student) / SEAL).read_text())
        except (OSError, json.JSONDecodeError):
            return {}

    def save(self, graded: Graded) -> tuple[float, float]:
        """Write a submission down; its score and the most there is, extras included."""
        folder = self.place(graded.homework, graded.student)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SEAL).unlink(missing_ok=True)
        nb = nbformat.reads(graded.notebook, as_version=4)
        self.enter(graded, nb)
        self.punish_lateness(graded, nb)
        shown = with_word(nb, graded)
        write(folder / f"{graded.homework}.ipynb", nbformat.writes(shown))
        if graded.timestamp:
            write(folder / "timestamp.txt", graded.timestamp)
        seal = {k: v for k, v in asdict(graded).items() if k != "notebook"}
        write(folder / SEAL, json.dumps(seal, indent=1))
        return self.standing(graded.homework, graded.student)

    def enter(self, graded: Graded, nb: NotebookNode) -> None:
        """Set the automatic score of every test, and what a person has to read."""
        database, name = self.database, graded.homework
        database.update_or_create_student(graded.student)
        when = {"timestamp": parsed(graded.timestamp)} if graded.timestamp else {}
        database.update_or_create_submission(name, graded.student, **when)
        where = (name, name, graded.student)  # notebook, assignment, student
        for cell in nb.cells:
            if utils.is_grade(cell):
                grade = database.find_grade(cell.metadata.nbgrader.grade_id, *where)
                score, _ = utils.determine_grade(cell)
                grade.auto_score = score
                doubtful = grade.manual_score is not None  # a person looks once more
                grade.needs_manual_grade = doubtful or grade.auto_score is None
            if utils.is_solution(cell):
                comment = database.find_comment(cell.metadata.nbgrader.grade_id, *where)
                unchanged = utils.compute_checksum(cell) == cell.metadata.nbgrader.get(
                    "checksum"
                )
                comment.auto_comment = "No response." if unchanged else None
        database.db.commit()

    def punish_lateness(self, graded: Graded, nb: NotebookNode) -> None:
        """Apply the course's own LateSubmissionPlugin."""
        facts = {
            "student": graded.student,
            "assignment": graded.homework,
            "notebook": graded.homework,
            "db_url": self.url,
        }
        AssignLatePenalties(config=self.config).preprocess(nb, {"nbgrader": facts})
        self.database.db.expire_all()

    def standing(self, homework: str, student: str) -> tuple[float, float]:
        """The score as it counts now, late penalty taken off, and the maximum."""
        submission = self.database.find_submission(homework, student)
        late = sum(nb.late_submission_penalty or 0 for nb in submission.notebooks)
        return submission.score - late, submission.max_score

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


def parsed(timestamp: str) -> object:
    """A moment as nbgrader understands it."""
    return utils.parse_utc(timestamp)


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


def write(path: Path, text: str) -> None:
    """Write all of `text` or nothing."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
