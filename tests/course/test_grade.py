"""`make grade`: everyone gets a row, a bad file stops nobody, and work is done once."""

import csv
import json
import math
import os
import re
import sys
from pathlib import Path

import pytest

ALL = [2.0, 1.0]
CREDITS = {  # what the test came to → its points, of 1
    "nan": ("float('nan')", 0.0),
    "infinite": ("float('inf')", 0.0),
    "negative": ("-3.0", 0.0),
    "huge": ("99.0", 1.0),
    "half": ("0.5", 0.5),
}


@pytest.fixture(scope="module")
def graded(course):
    """A class on one small homework, and what `make grade` said."""
    course.hand_in("right", words=f"So it is. {course.script}")
    course.hand_in("wrong", "return x * x", "Squares.")
    course.hand_in("late", when="2026-03-02 12:00:00 UTC")
    course.hand_in("quits", "import os; os._exit(0)")
    for student, (credit, _) in CREDITS.items():
        course.hand_in(student, f"return {credit} if x == 0.5 else 2 * x")
    course.path("torn").parent.mkdir(parents=True)
    course.path("torn").write_text('{"cells": [')
    course.path("stub").parent.mkdir(parents=True)
    course.path("stub").write_bytes(
        (course.folder / f"release/{course.name}/{course.name}.ipynb").read_bytes()
    )
    course.due("2026-03-01")
    return course.grade()


def test_everyone_has_a_row_and_the_terminal_is_quiet(course, graded):
    found = course.rows(graded.stdout)
    assert found["right"]["state"] == "to be read"
    assert (found["right"]["points"], found["right"]["of"]) == ("3", "4")
    assert (found["stub"]["points"], found["stub"]["state"]) == ("0", "graded")
    assert found["wrong"]["points"] == "0.25", "0.5 * 0.5, of its share"
    assert "1 graded, 8 to be read, 1 rejected, 1 stopped, 0 failed" in graded.stdout
    assert graded.returncode == 0, "everyone's end is definite"
    said = graded.stdout + graded.stderr
    loud = [word for word in ("Traceback", "Warning", "distributed") if word in said]
    assert not loud, said


def test_a_torn_file_and_a_quitter_have_their_reasons(course, graded):
    found = course.rows(graded.stdout)
    assert found["torn"]["state"] == "rejected"
    assert "cut off" in found["torn"]["reason"]
    assert found["quits"]["state"] == "stopped"
    assert "its process ended itself" in found["quits"]["reason"]
    assert course.scores()["torn"] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("student", CREDITS)
def test_partial_credit_is_between_nothing_and_everything(course, graded, student):
    assert course.scores()[student][:2] == [2.0, CREDITS[student][1]]


def test_lateness_costs_what_the_course_s_plugin_says(course, graded):
    assert course.scores()["late"][:2] == ALL, "the work itself keeps its points"
    assert course.rows(graded.stdout)["late"]["points"] == "0"


def test_the_feedback_explains_and_shows_no_test(course, graded):
    page = course.path("wrong", "feedback", "html").read_text()
    assert "twice 2 is 4, not 4" not in page
    assert "a check failed that has no message" in page
    assert "double(3)" not in page
    assert course.path("torn", "feedback", "html").exists()


def test_no_script_of_a_student_reaches_the_instructor_s_page(course, graded):
    autograded = course.path("right", "autograded").read_text()
    assert "<script>" not in autograded
    assert "So it is." in autograded
    assert "<script>" not in course.path("right", "feedback", "html").read_text()


def test_student_code_ran_in_a_box_and_in_no_worker(course, graded):
    code = "import os, sys; print(os.getpid(), 'distributed' in sys.modules); return 4"
    course.hand_in("pid", code)
    course.grade("--student", "pid")
    shown = json.loads(course.path("pid", "autograded").read_text())
    outputs = [out for cell in shown["cells"] for out in cell.get("outputs", [])]
    said = "".join(
        line
        for out in outputs
        if out["output_type"] == "stream"
        for line in out["text"]
    )
    who = "the student's code | "
    assert said.startswith(f"{who}1 False\n"), "process 1 of a world of its own"
    assert all(line.startswith(who) for line in said.splitlines()), "its words are its"


def test_grades_go_into_the_worksheet_that_the_lms_gave(course, graded, tmp_path):
    sheet = tmp_path / "a class's grades.csv"
    head = "OrgDefinedId,Username,hw double Points Grade <Numeric MaxPoints:4>"
    rows = [f"#{n},#{who},,#" for n, who in enumerate(("stub", "right", "torn", "new"))]
    sheet.write_text("\n".join([f"{head},End-of-Line Indicator", *rows, ""]), "utf-8")
    before = sheet.read_bytes()
    words = ("grades", "--sheet", str(sheet), "--homework", course.name)
    done = course.run("tools/grade.py", *words)
    assert done.returncode == 1, "some who were graded are not in the sheet"
    assert "1 grades are new" in done.stdout, done.stdout + done.stderr
    assert re.search(r"Not filled.*\(2\):\n  1 \(right\)\n  2 \(torn\)", done.stdout)
    assert "left as they are (1):\n  3" in done.stdout
    assert "  late\n" in done.stdout
    filled = sheet.with_name("a class's grades-filled.csv").read_text("utf-8")
    assert filled.splitlines()[1:] == [rows[0].replace(",,", ",0,"), *rows[1:]]
    assert sheet.read_bytes() == before
    again = course.run("tools/grade.py", *words, "--out", str(sheet))
    assert again.returncode == 1 and "stays as the LMS gave it" in again.stderr


def test_a_second_run_grades_only_what_is_new(course, graded):
    before = {
        s: course.path(s, "autograded").stat().st_mtime_ns for s in ("right", "wrong")
    }
    course.hand_in("wrong")
    found = course.rows(course.grade().stdout)
    assert found["wrong"]["points"] == "3", "a newer submission is graded again"
    assert course.path("right", "autograded").stat().st_mtime_ns == before["right"]
    assert course.path("wrong", "autograded").stat().st_mtime_ns > before["wrong"]


def test_a_person_s_marks_stay_through_a_regrade_and_reach_the_student(course, graded):
    where = (
        "where notebook_id in (select id from submitted_notebook where assignment_id "
        "in (select id from submitted_assignment where student_id = 'right'))"
    )
    course.sql(
        "update grade set manual_score = 0.75, needs_manual_grade = 0 "
        f"{where} and cell_id in (select id from base_cell where name = 'why')"
    )
    course.sql(f"update grade set extra_credit = 0.5 {where} and auto_score = 2")
    course.sql(f"update comment set manual_comment = 'Well **said**' {where}")
    done = course.run("tools/grade.py", "feedback", "--student", "right")
    assert "1 pages" in done.stdout
    page = course.path("right", "feedback", "html").read_text()
    assert "Well <strong>said</strong>" in page
    assert "4.25 of 4" in page
    again = course.rows(course.grade("--force", "--student", "right").stdout)
    assert again["right"]["points"] == "4.25"
    assert again["right"]["state"] == "to be read", "a person looks once more"
    page = course.path("right", "feedback", "html").read_text()
    assert "Well <strong>said</strong>" in page


def test_nbgrader_exports_the_same(course, graded, tmp_path):
    bin = Path(sys.executable).parent  # what activating the environment puts first
    target = tmp_path / "grades.csv"
    done = course.run(
        *(str(bin / "nbgrader"), "export", "--to", str(target)),
        cwd=course.folder,
        environment={"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    lines = target.read_text().splitlines()
    rows = {row["student_id"]: row for row in csv.DictReader(lines)}
    assert float(rows["late"]["raw_score"]) == 3
    assert float(rows["late"]["score"]) == 0
    assert math.isclose(float(rows["half"]["score"]), 2.5)
    assert float(rows["torn"]["score"]) == 0


def test_nothing_submitted_is_one_line(course):
    done = course.grade("--student", "nobody")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "Nothing to grade: there is no course/submitted/nobody/*"
    )
