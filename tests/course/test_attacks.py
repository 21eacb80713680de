"""Every attack in attacks/, on the real path, beside a class that must not notice.

Each file says in its first lines what it tries, what stock nbgrader gives, and how it
has to end here: a state and a score. The file itself is the student's cell, first in a
notebook of stubs, or of honest answers; where it defines an exercise's function, it is
that answer. Where it defines `hand_in`, that makes what is handed in.

    read → intake → box → referee → gradebook, one warm box for all
"""

import hashlib
import json
import os
import re
import runpy
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest
from nbconvert.exporters import HTMLExporter
from nbgrader.apps import NbGraderAPI
from nbgrader.server_extensions.formgrader import handlers
from traitlets.config import Config, PyFileConfigLoader

from course.grader.box.box import Box
from course.grader.campaign import read
from course.grader.desk import sit
from course.grader.gradebook import Gradebook
from course.grader.judging.source import functions
from course.grader.returns import page_of
from course.grader.terms import Homework, Limits
from course.grader.worker import ended
from lib.exercises.own_work import WITHHELD

ROOT = Path(__file__).parents[2]
ATTACKS = Path(__file__).with_name("attacks")
NAME = "hw_formats"
LIMITS = Limits(call_s=4, total_s=60, memory=1 << 30, files=16 << 20, processes=24)
ON_PYTHON = re.compile(r"On Python 3\.(\d+)(\+?): (graded|stopped)\.")
ENDS = re.compile(
    r"Here:\s(graded|rejected|stopped|any),\s([\d.]+)(\sbeside\shonest\sanswers)?\."
)
AFTER = re.compile(r"After: (\S+\.py)\.")  # an attack that has to come before it
ALL_BY_MACHINE = 11.0  # of hw_formats' 12 points, 1 is for a person to give


def attacks():
    files = sorted(ATTACKS.rglob("*.py"))
    assert len(files) > 100, "the attacks are not where they are looked for"
    return [pytest.param(path, id=str(path.relative_to(ATTACKS))) for path in files]


class Class:
    """A course in a folder of its own, with a bystander who was graded first."""

    def __init__(self, root, box):
        self.root, self.box = root, box
        config = PyFileConfigLoader("nbgrader_config.py", str(ROOT / "course"))
        self.config = config.load_config()
        self.config.CourseDirectory.root = str(root)
        self.config.CourseDirectory.source_directory = "source"
        self.config.CourseDirectory.db_url = f"sqlite:///{root}/gradebook.db"
        (root / "source" / NAME).mkdir(parents=True)
        shutil.copy(ROOT / "solutions" / NAME / f"{NAME}.ipynb", root / "source" / NAME)
        made = NbGraderAPI(config=self.config).generate_assignment(NAME)
        assert made["success"], made
        self.source = (root / "source" / NAME / f"{NAME}.ipynb").read_text()
        self.release = (root / "release" / NAME / f"{NAME}.ipynb").read_text()
        self.homework = Homework(
            NAME, self.source, self.release, WITHHELD[NAME], LIMITS
        )
        self.book = Gradebook(self.config, root)
        self.idle = len(self.inside())

    def inside(self):
        """The processes in the box."""
        return psutil.Process(self.box.process.pid).children(recursive=True)

    def folder(self, student):
        folder = self.root / "submitted" / student / NAME
        folder.mkdir(parents=True)
        return folder

    def grade(self, student):
        """Grade what is in a student's folder: (state, score, graded)."""
        submission = read(self.root / "submitted" / student / NAME, NAME)
        if submission.rejected:
            why = [submission.rejected]
            graded = ended(self.homework, submission, "rejected", why)
        else:
            graded = sit(self.homework, submission, self.box)
        with self.book:
            self.book.save(graded)
            score, *_ = self.book.standing(NAME, student)
        return graded.state, score, graded

    def others(self, student):
        """All that an attack of `student` must not change: files, and rows."""
        files = {}
        for path in sorted(self.root.rglob("*")):
            if (
                student not in path.parts
                and path.is_file()
                and "gradebook" not in path.name
            ):
                files[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        rows = """SELECT a.student_id, x.* FROM {} x
            JOIN submitted_notebook n ON x.notebook_id = n.id
            JOIN submitted_assignment a ON n.assignment_id = a.id
            WHERE a.student_id != ? ORDER BY x.id"""
        with closing(sqlite3.connect(self.root / "gradebook.db")) as database:
            tables = [
                database.execute(rows.format(table), (student,)).fetchall()
                for table in ("grade", "comment")
            ]
            tables.append(database.execute("SELECT * FROM base_cell").fetchall())
        return files, tables

    def pages(self, student):
        """A submission as the formgrader shows it, and as feedback does."""
        config = Config()
        config.HTMLExporter.template_name = "formgrade"
        config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
        words = ("assignment_id", "notebook_id", "submission_id", "student", "base_url")
        words += ("last_name", "first_name", "notebook_path")
        resources = dict.fromkeys(words, "x") | {"index": 0, "total": 1}
        path = self.root / "autograded" / student / NAME / f"{NAME}.ipynb"
        exporter = HTMLExporter(config=config)
        yield exporter.from_filename(str(path), resources=resources)[0]
        with self.book:
            yield page_of(self.book, NAME, student)


class Running(HTMLParser):
    """What in a page could run."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "svg", "iframe", "object", "embed", "form", "base"):
            self.found.append((tag, tuple(attributes)))
        for name, value in attributes:
            where = (value or "").strip().lower()
            if name.startswith("on") or where.startswith(("javascript:", "data:text")):
                self.found.append((tag, name, value))


@pytest.fixture(scope="module")
def klass(tmp_path_factory):
    if not shutil.which("bwrap") and os.environ.get("CI") != "true":
        pytest.skip("the grader's tests need bubblewrap: apt-get install bubblewrap")
    with pytest.MonkeyPatch.context() as patch, Box(WITHHELD[NAME], LIMITS) as box:
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        patch.setenv("PATH", tools)  # nbgrader starts alembic
        patch.setenv("OMP_NUM_THREADS", "1")
        klass = Class(tmp_path_factory.mktemp("class"), box)
        (klass.folder("bystander") / f"{NAME}.ipynb").write_text(klass.source)
        assert klass.grade("bystander")[:2] == ("graded", ALL_BY_MACHINE)
        klass.ours = [Running(page).found for page in klass.pages("bystander")]
        yield klass
        assert klass.grade("bystander")[:2] == ("graded", ALL_BY_MACHINE)


def notebook_of(klass, attack, honest):
    """The notebook that an attack's file is about, as JSON."""
    notebook = json.loads(klass.source if honest else klass.release)
    source, names = attack.read_text(), set(functions(attack.read_text()))
    mine = {"cell_type": "code", "id": "mine", "metadata": {}, "outputs": []}
    mine |= {"source": source, "execution_count": None}
    if "hand_in" in names:
        return notebook
    for cell in notebook["cells"]:
        kind = cell["metadata"].get("nbgrader", {})
        if kind.get("solution") and kind["grade_id"] in names:
            cell["source"] = "# above"
    notebook["cells"].insert(5, mine)
    return notebook


def hand_in(klass, attack, student, honest):
    """Lay in a student's folder what an attack's file makes, or is about."""
    folder = klass.folder(student)
    notebook = notebook_of(klass, attack, honest)
    if "hand_in" in functions(attack.read_text()):
        notebook = runpy.run_path(str(attack))["hand_in"](folder, notebook)
    if notebook is not None:
        (folder / f"{NAME}.ipynb").write_text(json.dumps(notebook))


@pytest.mark.parametrize("attack", attacks())
def test_an_attack_changes_nothing_but_its_own_grade(klass, attack):
    state, score, honest = ENDS.search(attack.read_text()).groups()
    if elsewhere := ON_PYTHON.search(attack.read_text()):
        minor, on, other = elsewhere.groups()
        here = sys.version_info.minor
        state = other if here == int(minor) or (on and here > int(minor)) else state
    student = f"{attack.parent.name}-{attack.stem}"
    if after := AFTER.search(attack.read_text()):
        hand_in(klass, ATTACKS / after[1], f"before-{student}", honest=False)
        klass.grade(f"before-{student}")
    hand_in(klass, attack, student, bool(honest))
    before = klass.others(student)

    ended_as, got, graded = klass.grade(student)

    assert (ended_as if state != "any" else state, got) == (state, float(score)), graded
    assert bool(graded.reasons) == (ended_as != "graded"), "an end needs its reason"
    assert klass.others(student) == before, "somebody else's file or row changed"
    size = len(graded.notebook)
    assert size < 40 << 20, f"the graded notebook has {size >> 20} MB"
    if "script" in attack.read_text():
        for page, ours in zip(klass.pages(student), klass.ours, strict=True):
            assert Running(page).found == ours, "something of theirs could run"
    end = time.monotonic() + 300
    while len(klass.inside()) > klass.idle and time.monotonic() < end:
        time.sleep(0.05)
    assert len(klass.inside()) == klass.idle, "it left a process behind"
    shutil.rmtree(klass.root / "submitted" / student, ignore_errors=True)
