"""Grade one homework's class as the course does, and write what everyone got.

    python grade_class.py ROOT NAME      ROOT/source/NAME, ROOT/submitted/STUDENT/NAME

Releases NAME, submits the release itself as the student `stub`, runs the student's own
check (Validate) on some, grades everyone in the box, and writes ROOT/report.json. One
submission goes through stock nbgrader too; all verdicts must agree. A process of its
own, because nbgrader's warnings are not ours to mend.
"""

import json
import logging
import shutil
import sys
import time
from pathlib import Path

COURSE = Path(__file__).parents[2] / "course"
sys.path.insert(0, str(COURSE.parent))
WORKERS = 1  # beside another gate; each more has the model to load, and a box to warm
CHECKED = 1  # notebooks of mutants that are held against Validate
Losses = dict[str, list[str]]  # {student: grade_ids of the tests that failed}


def configuration(root: Path):
    """Return the course's own configuration, moved into `root`."""
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(COURSE)).load_config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.source_directory = "source"
    config.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"
    config.Exchange.root = str(root / "exchange")
    return config


def must(result: dict) -> None:
    """Raise RuntimeError with nbgrader's log where nbgrader failed."""
    if not result["success"]:
        raise RuntimeError(result.get("error", "") + result.get("log", ""))


def homework(root: Path, name: str, tests: str = "source"):
    """The homework with its source's tests, or only with what the release shows."""
    from course.grader.terms import Homework, Limits
    from lib.exercises.own_work import WITHHELD

    release = (root / "release" / name / f"{name}.ipynb").read_text()
    source = (root / tests / name / f"{name}.ipynb").read_text()
    return Homework(name, source, release, WITHHELD[name], Limits())


# ------------------------------------------------------------------ Validate


def validated(config, root: Path, name: str, student: str) -> tuple[float, list[str]]:
    """Type a submission's answers into the release, Validate: seconds, failed tests.

    Processor seconds of one thread, the wait on a machine that does nothing else: the
    other tests that run meanwhile are not the homework's doing.
    """
    import nbformat
    from nbgrader.validator import Validator

    from course.grader.cost import processor_seconds

    path = root / "submitted" / student / name / f"{name}.ipynb"
    answers = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    filled_in = nbformat.read(root / "release" / name / f"{name}.ipynb", as_version=4)
    for cell in filled_in.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(grade_id, cell.source)
    nbformat.write(filled_in, root / f"{name}.ipynb")
    before = processor_seconds()
    problems = Validator(config=config).validate(str(root / f"{name}.ipynb"))
    seconds = processor_seconds() - before
    sources = {
        cell.source.strip(): cell.metadata.nbgrader.grade_id
        for cell in filled_in.cells
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade")
    }
    said = [one["source"].strip() for one in problems.get("failed", [])]
    failed = [sources[source] for source in said if source in sources]
    return seconds, sorted(failed)


def student_check(config, root: Path, name: str, students: list[str]) -> dict:
    """Validate beside our own verdict on the same, visible tests."""
    from course.grader.box.box import Box
    from course.grader.desk import imported, sit
    from course.grader.terms import Submission

    visible = homework(root, name, tests="release")
    seconds, failed, refereed = {}, {}, {}
    warm = imported(visible.release)
    with Box(visible.withheld, visible.limits, warm=warm) as box:
        for student in students:
            seconds[student], failed[student] = validated(config, root, name, student)
            content = root / "submitted" / student / name / f"{name}.ipynb"
            handed_in = Submission(name, student, content.read_bytes(), None)
            graded = sit(visible, handed_in, box)
            refereed[student] = failed_tests(graded.notebook)
    return {
        "seconds": seconds["solution"],
        "validate": failed,
        "referee": refereed,
    }


def failed_tests(notebook: str) -> list[str]:
    """The grade_ids of code tests that got less than all points."""
    import nbformat
    from nbgrader import utils

    lost = []
    for cell in nbformat.reads(notebook, as_version=4).cells:
        if utils.is_grade(cell) and cell.cell_type == "code":
            score, most = utils.determine_grade(cell)
            if score != most:
                lost.append(cell.metadata.nbgrader.grade_id)
    return sorted(lost)


# ------------------------------------------------------------------ the gradebook


def read_grades(root: Path, name: str) -> dict[str, dict[str, dict]]:
    """Return {student: {grade_id: score, max, manual}} from the gradebook."""
    from nbgrader.api import Gradebook

    grades: dict[str, dict[str, dict]] = {}
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as gradebook:
        for submission in gradebook.assignment_submissions(name):
            grades[submission.student.id] = {
                grade.name: {
                    "score": grade.auto_score,
                    "max": grade.max_score,
                    "manual": grade.cell.cell_type == "markdown",
                }
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
    return grades


def main(root: Path, name: str) -> None:
    """Release, submit, check, grade, report."""
    from nbgrader.apps import NbGraderAPI

    from course.grader.campaign import grade_class

    logging.getLogger("traitlets").setLevel(logging.ERROR)
    config = configuration(root)
    api = NbGraderAPI(config=config, log_level="ERROR")
    must(api.generate_assignment(name))
    shutil.copytree(root / "release" / name, root / "submitted" / "stub" / name)
    mutants = sorted(path.name for path in root.glob("submitted/mutants_*"))
    some = ["stub", "solution", *mutants[:CHECKED]]  # one warms up the disk
    report = {"check": student_check(config, root, name, some)}
    must(api.autograde(name, "solution"))
    report["stock"] = read_grades(root, name)["solution"]
    start = time.perf_counter()
    rows = grade_class(root, config, [homework(root, name)], workers=WORKERS)
    report["seconds"] = time.perf_counter() - start
    report["states"] = {row.student: row.state for row in rows}
    report["grades"] = read_grades(root, name)
    (root / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
