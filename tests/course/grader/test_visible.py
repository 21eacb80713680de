"""What the box shows, wherever the checkout, the environment and its packages lie.

Each test starts a box with a Python of its own, from a copy of the course below a
folder that is shown whole, as /usr is.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from course.grader.box.visible import layers
from course.grader.terms import ROOT, NoBox

PROGRAM = """
import json, py_compile, sys
asked = json.loads(sys.argv[1])
from course.grader.box import visible
visible.SYSTEM += (asked["system"],)
from course.grader.box.box import Box
try:
    box = Box(asked["withheld"], warm=asked["warm"], hidden=asked["hidden"])
except visible.NoBox as why:
    sys.exit(str(why))
with box:
    for source in asked["compiled"]:
        for level in (0, 1, 2):
            py_compile.compile(source, optimize=level, doraise=True)
    with box.sandbox() as sandbox:
        for shown in sandbox.run(asked["cell"]):
            print(shown.get("text") or "\\n".join(shown["traceback"]))
"""
LOOK = """
import json, os
def holds(path, words):
    try:
        return words in open(path, "rb").read()
    except PermissionError:
        return None
paths = [os.path.join(where, name) for where, _, names in os.walk(%r) for name in names]
print(json.dumps({path: holds(path, %r) for path in paths}))
"""
FINDER = """
import sys
from importlib.machinery import PathFinder
MAPPING = %r
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in MAPPING:
            return PathFinder.find_spec(name, [MAPPING[name].rpartition("/")[0]])
def install():
    sys.meta_path.append(Finder)
"""
PACKAGES = sysconfig.get_path("purelib")


class Place:
    """A folder that is shown whole, and in it a copy of the course and its venv."""

    def __init__(self, folder):
        folder.chmod(0o755)  # graded by root, a submission is another user
        self.folder, self.root = folder, folder / "src" / "course"
        for name in ("course", "lib", "solutions", "tools"):
            ignored = shutil.ignore_patterns("__pycache__", "*.db", "submitted")
            shutil.copytree(ROOT / name, self.root / name, ignore=ignored)
        self.environment = self.root / ".venv"
        make = [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages"]
        subprocess.run([*make, self.environment], check=True)
        self.packages = next(self.environment.glob("lib/python*/site-packages"))
        self.borrow()

    def borrow(self, *lines):
        """Let a `.pth` file name the packages of this process's Python, and `lines`."""
        text = "\n".join(map(str, (PACKAGES, *lines)))
        (self.packages / "borrowed.pth").write_text(text)

    def box(
        self, cell="", *, withheld=(), warm=(), hidden=(), compiled=(), **variables
    ):
        """What a cell prints in a box that is started there, or why there is none."""
        asked = {"system": str(self.folder), "cell": cell, "withheld": withheld}
        asked |= {"warm": warm, "hidden": hidden, "compiled": compiled}
        done = subprocess.run(
            [
                self.environment / "bin/python",
                "-c",
                PROGRAM,
                json.dumps(asked, default=str),
            ],
            capture_output=True,
            text=True,
            cwd=self.root,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": ""} | variables,
        )
        return (done.stdout if done.returncode == 0 else done.stderr).strip()

    def seen(self, words, **options):
        """{path: whether it holds the words} of all files that the box shows here."""
        shown = json.loads(self.box(LOOK % (str(self.folder), words), **options))
        return {Path(path): there for path, there in shown.items()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    if not shutil.which("bwrap") and os.environ.get("CI") != "true":
        pytest.skip("the grader's tests need bubblewrap: apt-get install bubblewrap")
    return Place(tmp_path_factory.mktemp("usr"))


@pytest.fixture
def place(built):
    yield built
    built.borrow()


@pytest.fixture
def elsewhere(tmp_path):
    tmp_path.chmod(0o755)
    return tmp_path


def test_a_checkout_and_an_exchange_below_usr_are_hidden_and_lib_is_not(place):
    exchange, table = place.folder / "local" / "exchange", place.folder / "table.db"
    exchange.mkdir(parents=True)
    for path in (exchange / "hw.ipynb", table, place.folder / "program"):
        path.write_text("BEGIN SOLUTION")
    seen = place.seen(b"BEGIN SOLUTION", hidden=(exchange, table))
    inside = place.root / "course" / "grader"
    for path in seen.keys() - {table, place.folder / "program"}:
        if not any(map(path.is_relative_to, (place.root / "lib", place.environment))):
            assert path.parent in (inside, inside / "box"), path
    assert [path for path in seen if seen[path]] == [place.folder / "program"]
    assert place.root / "lib" / "formats" / "__init__.py" in seen


@pytest.mark.parametrize("beside", [True, False], ids=["beside it", "by a prefix"])
def test_a_withheld_file_is_nowhere_and_compiled_neither(place, beside):
    module = place.root / "lib" / "models" / "rescale.py"
    shutil.copy(module, module.with_name("rescale.py.orig"))
    words = b"plant_outliers"  # a function of it
    prefix = {} if beside else {"PYTHONPYCACHEPREFIX": str(place.folder / "cache")}
    options = {"withheld": ["lib.models.rescale"], "compiled": [module], **prefix}
    seen = place.seen(words, **options)
    cache = place.folder / "cache" if prefix else module.parent / "__pycache__"
    levels = list(cache.rglob("rescale.*.pyc"))
    assert len(levels) == 3 and all(words in path.read_bytes() for path in levels)
    assert not [path for path in seen if seen[path] and "rescale" in path.name]


def test_packages_from_elsewhere_are_there_to_import(place, elsewhere):
    """By a `.pth` file, PYTHONPATH and the user's own folder; nothing of the course."""
    own = elsewhere / "base" / place.packages.relative_to(place.environment)
    for folder, name in ((elsewhere / "a", "a"), (elsewhere / "b", "b"), (own, "c")):
        folder.mkdir(parents=True)
        (folder / f"from_{name}.py").write_text(f"print({name!r}, end=' ')")
    place.borrow(elsewhere / "a", place.root, place.root.parent)
    told = place.box(
        "import os, from_a, from_b, from_c, torch\n"
        f"print(torch.ones(2).sum(), sorted(os.listdir({str(place.root)!r})))",
        PYTHONPATH=str(elsewhere / "b"),
        PYTHONUSERBASE=str(elsewhere / "base"),
    )
    assert told == "a b c tensor(2.) ['.venv', 'course', 'lib']"


def test_a_project_in_development_is_there_and_what_is_withheld_of_it_is_not(
    place, elsewhere
):
    (elsewhere / "project").mkdir()
    (elsewhere / "project" / "__init__.py").write_text("")
    (elsewhere / "project" / "answer.py").write_text("ANSWER = 42")
    mapping = {"project": str(elsewhere / "project"), "lib": str(ROOT / "lib")}
    (place.packages / "finder.py").write_text(FINDER % mapping)
    place.borrow("import finder; finder.install()")
    cell = (
        "import project, lib, os\nprint(lib.__file__, os.path.exists(%r))\n"
        "try:\n    import project.answer\nexcept ImportError as why:\n    print(why)"
    )
    told = place.box(cell % str(ROOT / "lib"), withheld=["project.answer"])
    assert told.startswith(f"{place.root}/lib/__init__.py False\nproject.answer is not")


def test_a_folder_of_the_checkout_is_no_package(place):
    place.borrow(place.root / "tools")
    says = f"Python imports from {place.root}/tools, which is in the checkout"
    assert says in place.box()


def test_a_package_that_is_a_link_elsewhere_is_named(place, elsewhere):
    (elsewhere / "linked").mkdir()
    (elsewhere / "linked" / "__init__.py").write_text("")
    (place.packages / "linked").symlink_to(elsewhere / "linked")
    told = place.box(warm=["linked"])
    assert "The box lacks linked (No module named 'linked')" in told
    assert f"Python finds that in {elsewhere}/linked: install it" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="a submission is the grader's own user")
def test_what_only_root_may_read_is_named(place, elsewhere):
    elsewhere.chmod(0o700)
    place.borrow(elsewhere)
    assert f"chmod -R o+rX {elsewhere}" in place.box()


def test_what_is_to_be_shown_and_hidden_is_refused_by_name(tmp_path):
    with pytest.raises(NoBox, match=f"needs all of {tmp_path}"):
        layers([tmp_path], [tmp_path])


def test_the_deepest_path_decides(tmp_path):
    a, b, c, d = (tmp_path / name for name in ("a", "a/b", "a/b/c", "d"))
    for path in (c, d):
        path.mkdir(parents=True)
    assert layers([a, c], [b, d]) == {a: True, b: False, c: True}
    assert layers([a, b], [c]) == {a: True, c: False}
