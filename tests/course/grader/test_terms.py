"""What is hashed decides a grade, and what decides a grade is hashed."""

import ast
import inspect
import shutil
import subprocess
import sys

import pytest

from course.grader import terms
from course.grader.judging.session import StandIn
from course.grader.terms import GRADER, ROOT, Homework, Limits, judges
from lib.exercises.protocol import StudentFunction

STARTS = ("desk.py", "box/zygote.py")  # what a worker starts, and what the box does
WORDS = GRADER / "terms.py"  # its values are in homework and submission, hashed too


def file_of(module):
    """The file of a module of course.grader, or None for what is none."""
    path = ROOT.joinpath(*module.split("."))
    return next(
        (f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()),
        None,
    )


def imported(path):
    """The files of course.grader that a file of it imports, anywhere in it."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                modules |= {module, *(f"{module}.{alias.name}" for alias in names)}
            case ast.Import(names):
                modules |= {alias.name for alias in names}
    files = map(file_of, filter(lambda m: m.startswith("course.grader."), modules))
    return {file for file in files if file}


def test_every_file_that_decides_a_grade_is_hashed():
    waiting, seen = [GRADER / name for name in STARTS], set()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += imported(path)
    assert GRADER / "box" / "wire.py" in seen, "the walk follows imports"
    assert len(seen) > 12 and seen - {WORDS} <= set(judges())


@pytest.fixture
def homework(tmp_path, monkeypatch):
    """A homework, hashed with copies of the files that judge it; and their folder."""
    exercises = tmp_path / "exercises"
    shutil.copytree(ROOT / "lib" / "exercises", exercises)
    monkeypatch.setattr(terms, "EXERCISES", exercises)
    return Homework("hw_x", "{}", "{}", (), Limits()), exercises


@pytest.mark.parametrize(
    "name", ["kernels/reading.py", "kernels/fences.py", "own_work.py", "protocol.py"]
)
def test_one_byte_of_a_judge_in_lib_exercises_makes_a_regrade_due(homework, name):
    homework, exercises = homework
    before, path = homework.version, exercises / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert homework.version != before


def test_a_new_file_there_makes_a_regrade_due_and_a_compiled_one_does_not(homework):
    homework, exercises = homework
    before = homework.version
    (exercises / "__pycache__").mkdir(exist_ok=True)
    (exercises / "__pycache__" / "new.pyc").write_bytes(b"x")
    assert homework.version == before
    (exercises / "kernels" / "words.txt").write_text("abs")
    assert homework.version != before


def test_what_is_hashed_is_there_and_hashing_needs_no_torch():
    paths = [str(path.relative_to(ROOT)) for path in judges()]
    assert len(paths) == len(set(paths)) > 20
    assert "lib/exercises/kernels/reading.py" in paths
    code = "import sys, course.grader.terms as t; t.judges(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert "course.grader.terms" in done.stdout.split(), done.stderr
    assert not {"torch", "lib"} & set(done.stdout.split())


def test_the_stand_in_declares_the_protocol_and_keeps_its_signatures():
    assert StudentFunction in StandIn.__mro__
    for name in ("isolated", "__call__"):
        ours, asked = (getattr(k, name) for k in (StandIn, StudentFunction))
        assert ours is not asked, name
        assert [*inspect.signature(ours).parameters] == [
            *inspect.signature(asked).parameters
        ]
    stand_in = StandIn("f", session=None, source="def f(): ...")
    assert isinstance(stand_in, StudentFunction)
    assert (stand_in.__name__, stand_in.source) == ("f", "def f(): ...")
