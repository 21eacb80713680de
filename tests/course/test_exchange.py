"""nbgrader's own exchange around `make grade`: who handed in gets the page, in time."""

import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

BIN = Path(sys.executable).parent  # what activating the environment puts first
PATH = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
FORGED = "2020-01-01 12:00:00.000000 UTC"


class Student:
    """Somebody with a folder and a cache of their own, as `nbgrader` leaves them."""

    def __init__(self, course, name, home, exchange):
        self.course, self.name, self.folder = course, name, home / name
        self.config = (
            "c = get_config()\n"
            "c.CourseDirectory.course_id = 'llm-compression'\n"
            f"c.CourseDirectory.student_id = {name!r}\n"
            f"c.Exchange.root = {str(exchange)!r}\n"
            f"c.Exchange.cache = {str(home / 'cache' / name)!r}\n"
        )
        self.folder.mkdir(parents=True)
        (self.folder / "nbgrader_config.py").write_text(self.config)

    def nbgrader(self, *words):
        done = self.course.run(
            str(BIN / "nbgrader"), *words, cwd=self.folder, environment=PATH
        )
        assert done.returncode == 0, done.stderr
        return done

    def submit(self):
        self.course.hand_in(self.name)
        work = self.folder / self.course.name
        work.mkdir()
        shutil.move(self.course.path(self.name), work)
        shutil.rmtree(self.course.folder / "submitted" / self.name)
        self.nbgrader("submit", self.course.name)


@pytest.fixture(scope="module")
def graded(course, tmp_path_factory):
    """Two students and a forger in an exchange, two more by hand; all are graded."""
    home = tmp_path_factory.mktemp("home")
    exchange = home / "exchange"
    exchange.mkdir()
    config = course.folder / "nbgrader_config.py"
    config.write_text(f"{config.read_text()}\nc.Exchange.root = {str(exchange)!r}\n")

    def instructor(*words):
        done = course.run(
            str(BIN / "nbgrader"), *words, cwd=course.folder, environment=PATH
        )
        assert done.returncode == 0, done.stderr

    instructor("release_assignment", course.name)
    course.students = {
        name: Student(course, name, home, exchange)
        for name in ("ada", "bob", "eve", "joe")
    }
    for student in course.students.values():
        student.submit()
    for handed_in in exchange.glob("llm-compression/inbound/eve+*"):
        (handed_in / "timestamp.txt").write_text(FORGED)
        os.utime(handed_in / f"{course.name}.ipynb", (0, 0))
        os.utime(handed_in, (0, 0))
    for handed_in in exchange.glob("llm-compression/inbound/joe+*"):
        (handed_in / "timestamp.txt").write_text(FORGED)
        (handed_in / f"{course.name}.ipynb").rename(handed_in / "mine.ipynb")
    instructor("collect", course.name)
    course.hand_in("by-hand")
    course.hand_in("linked", when="2026-03-01 12:00:00 UTC")
    secret = course.path("linked").with_name("submission_secret.txt")
    secret.symlink_to("/etc/hostname")
    course.due("2021-01-01")
    done = course.grade()
    assert done.returncode == 0, done.stderr
    course.instructor = instructor
    return done


def test_the_exchange_s_clock_counts_before_a_time_that_a_student_wrote(course, graded):
    found = course.rows(graded.stdout)
    assert found["eve"]["points"] == "0", "late, whatever the file says"
    assert "by the exchange's clock it came" in found["eve"]["reason"]
    assert FORGED in found["eve"]["reason"]
    assert found["joe"]["points"] == "0", "whatever the notebook is called"
    assert found["ada"]["reason"] is None, "an honest stamp agrees with the clock"


def test_no_time_of_the_exchange_s_is_invented(course, graded):
    assert course.rows(graded.stdout)["by-hand"]["points"] == "3", "nobody is late"


def test_a_secret_that_is_a_link_is_said_and_not_followed(course, graded):
    assert "submission_secret.txt" in course.rows(graded.stdout)["linked"]["reason"]
    beside = course.path("linked", "feedback").with_name("submission_secret.txt")
    assert beside.read_text() != Path("/etc/hostname").read_text()


def test_everyone_in_the_exchange_fetches_their_own_page(course, graded):
    course.instructor("release_feedback", course.name)
    for name in ("ada", "bob"):
        student = course.students[name]
        student.nbgrader("fetch_feedback", course.name)
        (page,) = student.folder.glob(f"{course.name}/feedback/*/{course.name}.html")
        assert page.read_bytes() == course.path(name, "feedback", "html").read_bytes()


def test_a_page_without_a_secret_is_under_a_name_that_stays(course, graded):
    beside = course.path("by-hand", "feedback").with_name("submission_secret.txt")
    before = beside.read_text()
    assert len(before) == 128
    assert course.run("tools/grade.py", "feedback").returncode == 0
    assert beside.read_text() == before


def test_a_notebook_changed_in_the_exchange_is_not_taken_for_what_was_graded(course):
    path = course.path("ada")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[4].source = "Changed after it was collected."
    nbformat.write(notebook, path)
    done = course.grade("--student", "ada")
    assert "is a claim" in course.rows(done.stdout)["ada"]["reason"]
