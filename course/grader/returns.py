"""What students get back: a page of feedback for each graded submission.

    autograded notebook + gradebook → feedback/STUDENT/HOMEWORK/HOMEWORK.html

Written from the gradebook as it stands, manual scores and comments included, where
nbgrader's own feedback goes; so run it once more when the reading is done.
"""

from pathlib import Path

import nbformat
from traitlets.config import Config

from course.grader.feedback import feedback
from course.grader.gradebook import Gradebook, write


def return_feedback(
    root: Path,
    config: Config,
    homeworks: list[str],
    students: list[str] | None = None,
) -> list[Path]:
    """Write the page of every graded submission; return those that changed.

    Raises `Busy` where a grading run is writing.
    """
    changed = []
    with Gradebook(config, root) as book:
        for homework in homeworks:
            for folder in sorted((root / "autograded").glob(f"*/{homework}")):
                student = folder.parent.name
                if students is not None and student not in students:
                    continue
                if book.stamp_of(homework, student) is None:
                    continue  # it was never graded to its end
                notebook = nbformat.read(folder / f"{homework}.ipynb", as_version=4)
                scores = book.scores(homework, student)
                page = feedback(notebook, scores, title=f"{homework}: {student}")
                path = root / "feedback" / student / homework / f"{homework}.html"
                if not path.exists() or path.read_text(encoding="utf-8") != page:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write(path, page)
                    changed.append(path)
    return changed
