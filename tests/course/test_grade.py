"""`make grade`: everyone gets a row, a bad file stops nobody, and work is done once."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
SCRIPT = "<script>document.title = 'taken over'</script>"


def cell(make, source, grade_id, **what):
    kind = {"grade": False, "solution": False, "locked": False, "task": False}
    meta = {"schema_version": 3, "grade_id": grade_id} | kind | what
    return make(source, metadata={"nbgrader": meta})


def homework():
    """Two points for doubling, one for saying why."""
    code = (
        "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
    )
    tests = (
        "assert double(2) == 4, f'twice 2 is 4, not {double(2)}'\n"
        "### BEGIN HIDDEN TESTS\nassert double(3) == 6\n### END HIDDEN TESTS"
    )
    because = "### BEGIN SOLUTION\nTwo of them.\n### END SOLUTION"
    cells = [
        new_markdown_cell("# Doubling: 3 points\n<details>hint</details> $a<b$"),
        cell(new_code_cell, code, "double", solution=True),
        cell(new_code_cell, tests, "test_double", points=2, grade=True, locked=True),
        cell(new_markdown_cell, because, "why", points=1, grade=True, solution=True),
    ]
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def run(course, script, *arguments):
    return subprocess.run(
        [sys.executable, f"tools/{script}", *arguments],
        cwd=course,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def graded(checkout):
    """A class of four on one small homework, and what `make grade` said."""
    shutil.rmtree(checkout / "solutions")
    (checkout / "solutions" / "hw_double").mkdir(parents=True)
    nbformat.write(homework(), checkout / "solutions/hw_double/hw_double.ipynb")
    assert run(checkout, "homework.py", "start").returncode == 0
    for student in ("right", "wrong", "stub", "torn"):
        assert (
            run(checkout, "homework.py", "submit", "--student", student).returncode == 0
        )
    answer(checkout, "right", "return x + x", f"So it is. {SCRIPT}")
    answer(checkout, "wrong", "return x * x", "Squares.")
    submission(checkout, "torn").write_text('{"cells": [')
    return checkout, run(checkout, "grade.py")


def submission(course, student):
    return course / "course" / "submitted" / student / "hw_double" / "hw_double.ipynb"


def answer(course, student, code, words):
    path = submission(course, student)
    nb = nbformat.read(path, as_version=4)
    nb.cells[1].source = nb.cells[1].source.replace("raise NotImplementedError", code)
    nb.cells[3].source = words
    nbformat.write(nb, path)


def rows(text):
    return {
        match[1]: (match[2], match[3], match[4].strip())
        for match in re.finditer(r"^(\w+) +hw_double +(\S+) +(\S+) +(.+)$", text, re.M)
    }


def test_everyone_has_a_row(graded):
    _, done = graded
    found = rows(done.stdout)
    assert found["right"] == ("2", "3", "to be read")
    assert found["wrong"] == ("0", "3", "to be read")
    assert found["stub"] == ("0", "3", "graded")
    assert "1 graded, 2 to be read, 1 failed" in done.stdout


def test_a_torn_file_has_its_reason_and_stops_nobody(graded):
    _, done = graded
    points, most, state = rows(done.stdout)["torn"]
    assert (points, most) == ("–", "–")
    assert state.startswith("failed: NotJSONError")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_the_gradebook_and_the_feedback_have_the_grade(graded):
    course, _ = graded
    feedback = course / "course" / "feedback" / "right" / "hw_double" / "hw_double.html"
    assert "2.0 / 3.0" in re.sub(r"\s+", " ", feedback.read_text())
    with sqlite3.connect(course / "course" / "gradebook.db") as gradebook:
        [(total,)] = gradebook.execute("select sum(auto_score) from grade")
    gradebook.close()
    assert total == 2


def test_no_script_of_a_student_reaches_the_instructor_s_page(graded):
    course, _ = graded
    path = course / "course" / "autograded" / "right" / "hw_double" / "hw_double.ipynb"
    notebook = json.loads(path.read_text())
    assert "<script>" not in json.dumps(notebook)
    assert "So it is." in json.dumps(notebook)


def test_a_second_run_grades_only_what_is_new(graded):
    course, _ = graded
    paths = {
        student: course / f"course/autograded/{student}/hw_double/hw_double.ipynb"
        for student in ("right", "wrong")
    }
    before = {student: path.stat().st_mtime_ns for student, path in paths.items()}
    answer(course, "wrong", "return x * x", "Squares.")
    nb = nbformat.read(submission(course, "wrong"), as_version=4)
    nb.cells[1].source = "def double(x):\n    return 2 * x"
    working_copy = course / "homework" / "hw_double" / "hw_double.ipynb"
    nbformat.write(nb, working_copy)
    run(course, "homework.py", "submit", "--student", "wrong")
    found = rows(run(course, "grade.py").stdout)
    assert found["wrong"][0] == "2", "a newer submission is graded again"
    after = {student: path.stat().st_mtime_ns for student, path in paths.items()}
    assert after["right"] == before["right"]
    assert after["wrong"] > before["wrong"]


def test_nothing_submitted_is_one_line(checkout):
    done = run(checkout, "grade.py", "--student", "nobody")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "Nothing to grade: there is no course/submitted/nobody/*"
    )
