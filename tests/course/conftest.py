"""A small course to dirty: one homework, a few students, and the commands to run."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
SCRIPT = "<script>document.title = 'taken over'</script>"
NAME = "hw_double"
ROW = re.compile(
    rf"^(?P<student>[\w-]+) +{NAME} +(?P<points>\S+) +(?P<of>\S+) +"
    r"(?P<state>\S+( \S+)*)(?: {2,}(?P<reason>.+))?$",
    re.MULTILINE,
)


def cell(make, source, grade_id, **what):
    kind = {"grade": False, "solution": False, "locked": False, "task": False}
    meta = {"schema_version": 3, "grade_id": grade_id} | kind | what
    return make(source, metadata={"nbgrader": meta})


def homework():
    """Two points for doubling, one for a share of it, one for saying why."""
    code = (
        "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
    )
    tests = (
        "assert double(2) == 4, f'twice 2 is 4, not {double(2)}'\n"
        "### BEGIN HIDDEN TESTS\nassert double(3) == 6\n### END HIDDEN TESTS"
    )
    share = "### BEGIN HIDDEN TESTS\nfloat(double(0.5))\n### END HIDDEN TESTS"
    because = "### BEGIN SOLUTION\nTwo of them.\n### END SOLUTION"
    test = {"grade": True, "locked": True}
    cells = [
        new_markdown_cell("# Doubling: 4 points\n<details>hint</details> $a<b$"),
        cell(new_code_cell, code, "double", solution=True),
        cell(new_code_cell, tests, "test_double", points=2, **test),
        cell(new_code_cell, share, "test_share", points=1, **test),
        cell(new_markdown_cell, because, "why", points=1, grade=True, solution=True),
    ]
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


class Course:
    """A copy of the course with the small homework, and its instructor's commands."""

    name, script = NAME, SCRIPT

    def __init__(self, checkout):
        self.root, self.folder = checkout, checkout / "course"
        shutil.rmtree(checkout / "solutions")
        (checkout / "solutions" / NAME).mkdir(parents=True)
        nbformat.write(homework(), checkout / "solutions" / NAME / f"{NAME}.ipynb")
        # As `make grade` and `make instructor` do, and `make lab` does not
        program = "import release; release.release(gradebook=True)"
        tools = {"PYTHONPATH": str(checkout / "tools")}
        done = self.run("-c", program, environment=tools)
        assert done.returncode == 0, done.stderr

    def start(self, *arguments, environment=None, cwd=None, **options):
        wide = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd or self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=wide | (environment or {}),
            **options,
        )

    def run(self, *arguments, **options):
        running = self.start(*arguments, **options)
        out, err = running.communicate(timeout=3600)
        return subprocess.CompletedProcess(arguments, running.returncode, out, err)

    def grade(self, *arguments, **options):
        return self.run("tools/grade.py", "grade", *arguments, **options)

    def path(self, student, folder="submitted", suffix="ipynb"):
        return self.folder / folder / student / NAME / f"{NAME}.{suffix}"

    def hand_in(self, student, code="return 2 * x", words="So it is.", when=None):
        """Submit the release with `code` as double's body."""
        nb = nbformat.read(self.folder / f"release/{NAME}/{NAME}.ipynb", as_version=4)
        stub = "# YOUR CODE HERE\n    raise NotImplementedError"
        assert stub in nb.cells[1].source
        nb.cells[1].source = nb.cells[1].source.replace(stub, code)
        nb.cells[4].source = words
        self.path(student).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, self.path(student))
        if when:
            (self.path(student).parent / "timestamp.txt").write_text(when)

    def due(self, day):
        """Have the homework due at noon of a day; who is late gets nothing."""
        config = self.folder / "nbgrader_config.py"
        zero = '\nc.LateSubmissionPlugin.penalty_method = "zero"\n'
        config.write_text(config.read_text().replace(zero, "") + zero)
        self.sql(f"update assignment set duedate = '{day} 12:00:00.000000'")

    def stamp(self, student):
        path = self.path(student, "autograded").with_name(".graded.json")
        return json.loads(path.read_text()) if path.exists() else None

    def sql(self, statement, *values):
        with closing(sqlite3.connect(self.folder / "gradebook.db")) as database:
            rows = database.execute(statement, values).fetchall()
            database.commit()
        return rows

    def scores(self):
        """{student: [automatic scores, by cell]} of everyone in the gradebook."""
        found = {}
        for student, score in self.sql(
            "select submitted_assignment.student_id, grade.auto_score from grade "
            "join submitted_notebook on grade.notebook_id = submitted_notebook.id "
            "join submitted_assignment "
            "on submitted_notebook.assignment_id = submitted_assignment.id "
            "join base_cell on grade.cell_id = base_cell.id order by base_cell.name"
        ):
            found.setdefault(student, []).append(score)
        return found

    @staticmethod
    def rows(text):
        return {row["student"]: row.groupdict() for row in ROW.finditer(text)}


@pytest.fixture(scope="module")
def course(checkout):
    if not shutil.which("bwrap") and os.environ.get("CI") != "true":
        pytest.skip("grading needs bubblewrap: apt-get install bubblewrap")
    return Course(checkout)
