"""tools/homework.py: a student's file is made once and never written over."""

import json
import subprocess
import sys
from pathlib import Path

import homework
import pytest
import release

SCRIPT = Path(homework.__file__)


@pytest.fixture
def course(tmp_path):
    """A course with one homework released."""
    (tmp_path / "solutions" / "hw_x").mkdir(parents=True)
    (tmp_path / "solutions" / "hw_x" / "hw_x.ipynb").write_text("source")
    revise(tmp_path, "first")
    return tmp_path


def revise(root, text):
    folder = root / "course" / "release" / "hw_x"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hw_x.ipynb").write_text(text)
    (folder / "figure.txt").write_text(text)


def mine(root):
    return root / "homework" / "hw_x" / "hw_x.ipynb"


def test_a_working_copy_is_made_with_its_files(course):
    assert homework.start(course) == []
    assert mine(course).read_text() == "first"
    assert mine(course).with_name("figure.txt").read_text() == "first"


def test_work_is_never_written_over_and_a_revision_is_told(course):
    homework.start(course)
    mine(course).write_text("a night's work")
    assert homework.start(course) == [], "nothing was revised"
    revise(course, "second")
    [news] = homework.start(course)
    assert "make renew HW=hw_x" in news
    assert mine(course).read_text() == "a night's work"


def test_a_copy_that_nobody_touched_follows_the_release(course):
    homework.start(course)
    revise(course, "second")
    assert homework.start(course) == []
    assert mine(course).read_text() == "second"


def test_a_start_interrupted_before_its_note_is_mended(course):
    homework.start(course)
    (course / "homework" / ".taken.json").write_text('{"hw_')
    assert homework.start(course) == []
    assert "hw_x" in json.loads((course / "homework" / ".taken.json").read_text())


def test_renew_keeps_the_old_work_beside_the_new(course):
    homework.start(course)
    mine(course).write_text("a night's work")
    revise(course, "second")
    kept = homework.renew("hw_x", course)
    assert kept.read_text() == "a night's work"
    assert mine(course).read_text() == "second"
    assert homework.start(course) == []


def test_renew_of_an_unknown_homework_names_those_that_there_are(course):
    with pytest.raises(SystemExit, match=r"no homework 'hw_y'.*hw_x"):
        homework.renew("hw_y", course)


def test_submit_lays_the_work_where_grade_collects(course):
    homework.start(course)
    assert homework.submit("ada", [], course) == ["hw_x"]
    handed_in = course / "course" / "submitted" / "ada" / "hw_x"
    assert (handed_in / "hw_x.ipynb").read_text() == "first"
    assert (handed_in / "timestamp.txt").read_text().endswith("UTC")


@pytest.mark.parametrize("student", ["", "../ada", "a b", "*"])
def test_a_student_s_name_cannot_lead_elsewhere(course, student):
    homework.start(course)
    with pytest.raises(SystemExit, match="STUDENT="):
        homework.submit(student, [], course)


def test_submit_without_a_copy_says_what_there_is(course):
    with pytest.raises(SystemExit, match="make lab"):
        homework.submit("ada", [], course)
    homework.start(course)
    with pytest.raises(SystemExit, match="you have: hw_x"):
        homework.submit("ada", ["hw_y"], course)


def test_a_source_that_changes_is_stale_and_a_checkpoint_is_no_source(course):
    config = course / "course" / "nbgrader_config.py"
    config.write_text("")
    before = release.fingerprint(course, "hw_x")
    checkpoints = course / "solutions" / "hw_x" / ".ipynb_checkpoints"
    checkpoints.mkdir()
    (checkpoints / "hw_x-checkpoint.ipynb").write_text("old")
    assert release.fingerprint(course, "hw_x") == before
    (course / "solutions" / "hw_x" / "hw_x.ipynb").write_text("changed")
    assert release.fingerprint(course, "hw_x") != before
    config.write_text("c = get_config()")
    assert release.fingerprint(course, "hw_x") != before


def test_the_command_line_explains_itself():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--help"], capture_output=True, text=True, timeout=60
    )
    assert all(verb in done.stdout for verb in ("release", "start", "renew", "submit"))
