"""`make collect` as an instructor calls it, and what `make grade` makes of a class."""

import shutil
import zipfile

import nbformat
import pytest

SCHEMES = {
    "moodle": "{first} {last}_{n}_assignsubmission_file/{file}",
    "canvas": "{last}{first}_{n}_9{n}_{file}",
    "canvas-anonymous": "anon_aB3{n}_9{n}_{file}",
    "blackboard": "HW 1_u{n}_attempt_2026-03-0{day}-23-59-59_{file}",
    "brightspace": "{n}-77 - {first} {last} - Mar {day}, 2026 1159 PM/{file}",
    "ilias": "multi_feedback_HW_1_9/{last}_{first}_u{n}_{n}/{file}",
    "plain": "class/{first}.{last}/{file}",
}
NAMES = [("Ada", "Lovelace"), ("Zoë", "Müller"), ("伟", "王"), ("Zoé", "Möller")]


def released(course):
    path = course.folder / f"release/{course.name}/{course.name}.ipynb"
    return nbformat.read(path, as_version=4)


def work(course):
    notebook = released(course)
    notebook.cells[1].source = "def double(x):\n    return 2 * x"
    return nbformat.writes(notebook).encode()


@pytest.fixture
def collect(course, tmp_path):
    """Zip a class of four and a hostile one, and run the verb."""

    def collect(scheme, *arguments):
        shutil.rmtree(course.folder / "submitted", ignore_errors=True)
        form, own = SCHEMES[scheme], work(course)
        with zipfile.ZipFile(tmp_path / "lms.zip", "w") as bundle:
            for number, (first, last) in enumerate(NAMES, 10):
                who = {"first": first, "last": last, "n": number}
                path = form.format(**who, day=1, file="{}")
                bundle.writestr(path.format(f"{course.name}.ipynb"), own)
                bundle.writestr(path.format("scratch.ipynb"), b'{"cells": []}')
                bundle.writestr(f"__MACOSX/{path.format('._x.ipynb')}", b"noise")
            eve = form.format(first="Eve", last="Hostile", n=66, day=1, file="{}")
            bundle.writestr(eve.format(f"\x1b[2J{course.name}.ipynb"), own)
        where = ("--zip", str(tmp_path / "lms.zip"), "--homework", course.name)
        return course.run("tools/grade.py", "collect", *where, *arguments)

    return collect


def handed_in(course):
    return {
        path.parents[1].name for path in course.folder.glob("submitted/*/*/*.ipynb")
    }


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_class_is_collected_from_each_scheme(course, collect, scheme):
    done = collect(scheme)
    assert f"(SCHEME={scheme})" in done.stdout, done.stderr
    assert "4 students collected" in done.stdout
    assert len(handed_in(course)) == 4
    assert "Nothing was taken of (1):" in done.stdout
    assert r"\x1b[2J" in done.stdout
    assert "\x1b" not in done.stdout
    assert (done.returncode, done.stderr) == (1, "")


def test_a_dry_run_changes_nothing(course, collect):
    done = collect("moodle", "--dry-run", "--verbose", "--zone", "Europe/Berlin")
    assert "4 students would be collected" in done.stdout
    assert "Zoë-Müller-11: Zoë Müller_11_assignsubmission_file" in done.stdout
    assert handed_in(course) == set()


def test_what_cannot_be_is_one_line(course, collect):
    for option, value, why in (
        ("--scheme", "webct", "SCHEME=webct is none of moodle, canvas"),
        ("--zone", "PST8", "is no zone as Europe/Berlin is"),
        ("--names", "none.csv", "none.csv can't be read"),
    ):
        done = collect("moodle", option, value)
        assert why in done.stderr
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_names_of_any_script_are_graded(course, collect):
    collect("plain")
    for student in ("伟.王", "Zoë.Müller"):
        done = course.grade("--student", student)
        assert done.returncode == 0, done.stderr
        assert "1 to be read" in done.stdout or "1 graded" in done.stdout
        assert course.path(student, "feedback", "html").exists()
