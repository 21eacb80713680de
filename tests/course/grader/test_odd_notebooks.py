"""What editors and habits do to the model solution of hw_formats costs no point.

    release → a right answer in each cell → mangled → read, graded: 11 of 11, and the
    written answer waits for a person

The other way round, nothing that a student says about their cells wins a point.
"""

import copy
import json
import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.apps import NbGraderAPI
from nbgrader.utils import determine_grade, is_grade
from traitlets.config import PyFileConfigLoader

from course.grader.box.box import Box
from course.grader.desk import sit
from course.grader.terms import Homework, Limits, Submission
from lib.exercises.own_work import WITHHELD

ROOT = Path(__file__).parents[3]
NAME, ALL = "hw_formats", 11.0
WRITTEN = "why_two_formats"
FUNCTIONS = (
    *("decode", "number_line", "round_nearest", "overflow", "round_stochastic"),
    *("mxfp4", "nvfp4"),
)
PASSING = "def own_work(*_): pass\nprint('all tests passed')"
LIMITS = Limits(call_s=10, total_s=100)


class Desk:
    """hw_formats as it is released, and graded."""

    def __init__(self, root, box):
        config = PyFileConfigLoader("nbgrader_config.py", str(ROOT / "course"))
        config = config.load_config()
        config.CourseDirectory.root = str(root)
        config.CourseDirectory.source_directory = "source"
        config.CourseDirectory.db_url = f"sqlite:///{root}/gradebook.db"
        shutil.copytree(ROOT / "solutions" / NAME, root / "source" / NAME)
        made = NbGraderAPI(config=config).generate_assignment(NAME)
        assert made["success"], made
        self.source = (root / "source" / NAME / f"{NAME}.ipynb").read_text()
        self.release = (root / "release" / NAME / f"{NAME}.ipynb").read_text()
        self.box = box
        self.homework = Homework(
            NAME, self.source, self.release, WITHHELD[NAME], LIMITS
        )

    def stub(self, name):
        return source_of(loaded(self.release), name)

    def answered(self):
        """The release with the model solution's answers."""
        nb, right = loaded(self.release), loaded(self.source)
        for name in (*FUNCTIONS, WRITTEN):
            lines = source_of(right, name).split("\n")
            cell(nb, name)["source"] = "\n".join(x for x in lines if "### " not in x)
        return nb

    def grade(self, handed_in):
        """Points of the code, the written answer's (None: a person reads), the end."""
        if not isinstance(handed_in, bytes):
            handed_in = json.dumps(handed_in).encode()
        graded = sit(self.homework, Submission(NAME, "x", handed_in, None), self.box)
        cells = nbformat.reads(graded.notebook, as_version=4).cells
        scores = {
            c.metadata.nbgrader.grade_id: determine_grade(c)[0]
            for c in cells
            if is_grade(c)
        }
        words = scores.pop(WRITTEN)
        return sum(scores.values()), words, graded


def loaded(text):
    nb = json.loads(text)
    for c in nb["cells"]:
        c["source"] = "".join(c["source"])
    return nb


def name_of(c):
    return c["metadata"].get("nbgrader", {}).get("grade_id")


def cell(nb, name):
    return next(c for c in nb["cells"] if name_of(c) == name)


def place(nb, name):
    return nb["cells"].index(cell(nb, name))


def source_of(nb, name):
    return cell(nb, name)["source"]


def own(source, kind="code"):
    """A cell of a student's own."""
    made = {"cell_type": kind, "metadata": {}, "source": source, "id": "own"}
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    if not shutil.which("bwrap") and os.environ.get("CI") != "true":
        pytest.skip("the grader's tests need bubblewrap: apt-get install bubblewrap")
    with pytest.MonkeyPatch.context() as patch, Box(WITHHELD[NAME], LIMITS) as box:
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        patch.setenv("PATH", tools)  # nbgrader starts alembic
        yield Desk(tmp_path_factory.mktemp("odd"), box)


# ------------------------------------------------------------------ names lost


def stripped(nb, desk):
    for number, c in enumerate(nb["cells"]):
        c["metadata"], c["id"] = {}, f"{number}"


def stripped_and_one_id_for_all(nb, desk):
    for c in nb["cells"]:
        c["metadata"], c["id"] = {}, "decode"


def stripped_and_reversed(nb, desk):
    nb["cells"].reverse()
    stripped(nb, desk)


def stripped_and_cards_deleted(nb, desk):
    answer = cell(nb, WRITTEN)
    nb["cells"] = [c for c in nb["cells"] if c["cell_type"] == "code" or c is answer]
    stripped(nb, desk)


def colab(nb, desk):
    nb["cells"].insert(0, own("from google.colab import drive\n%cd /content/drive"))
    stripped(nb, desk)
    for c in nb["cells"]:
        c["metadata"] = {"id": c.pop("id"), "outputId": "x"}
    nb["nbformat_minor"] = 0


def nbformat_3(nb, desk):
    code, text = {"language": "python", "outputs": []}, {}
    cells = [
        {"cell_type": c["cell_type"], "metadata": {}}
        | (code | {"input": c["source"]} if c["cell_type"] == "code" else text)
        | ({} if c["cell_type"] == "code" else {"source": c["source"]})
        for c in nb["cells"]
    ]
    return {"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}


def turned_to_text(nb, desk):
    cell(nb, "decode")["cell_type"] = "markdown"
    cell(nb, "overflow")["cell_type"] = "raw"
    stripped(nb, desk)


# ------------------------------------------------------------------ magics


def magics(nb, desk):
    above = [
        *("%%time\n", "%%timeit\n", "%%capture out\n", "!pip install einops\n"),
        *("%pip install x\n%matplotlib inline\n", "%load_ext autoreload\n"),
        "torch.round?\n%autoreload 2\nfiles = !ls\n",
    ]
    for name, line in zip(FUNCTIONS, above, strict=True):
        cell(nb, name)["source"] = line + source_of(nb, name)


def stripped_magics(nb, desk):
    magics(nb, desk)
    stripped(nb, desk)


def prompts(nb, desk):
    lines = source_of(nb, "decode").rstrip().split("\n")
    cell(nb, "decode")["source"] = "\n".join([">>> " + lines[0], *lines[1:]])


# ------------------------------------------------------------------ cells moved


def cut_in_a_function(nb, desk):
    here, lines = place(nb, "mxfp4"), source_of(nb, "mxfp4").split("\n")
    other = copy.deepcopy(nb["cells"][here]) | {"id": "other"}
    nb["cells"].insert(here + 1, other)
    nb["cells"][here]["source"] = "\n".join(lines[:4])
    other["source"] = "\n".join(lines[4:])


def cut_and_stripped(nb, desk):
    cut_in_a_function(nb, desk)
    stripped(nb, desk)


def cut_between_helper_and_answer(nb, desk):
    here = place(nb, "mxfp4")
    nb["cells"].insert(here, copy.deepcopy(nb["cells"][here]))
    nb["cells"][here]["source"] = "def amax(x):\n    return x.amax(-1, keepdim=True)"
    answer = nb["cells"][here + 1]
    answer["source"] = answer["source"].replace(
        "blocks.abs().amax(-1, keepdim=True)", "amax(blocks.abs())"
    )


def an_older_version_above(nb, desk):
    here = place(nb, "decode")
    nb["cells"].insert(here, copy.deepcopy(nb["cells"][here]))
    nb["cells"][here]["source"] = "def decode(code, e, m):\n    return 7"


def answered_below_the_stub(nb, desk):
    here = place(nb, "decode")
    nb["cells"].insert(here + 1, own(source_of(nb, "decode")))
    nb["cells"][here]["source"] = desk.stub("decode")


def answered_above_the_stub(nb, desk):
    here = place(nb, "decode")
    nb["cells"].insert(here, own(source_of(nb, "decode")))
    nb["cells"][here + 1]["source"] = desk.stub("decode")


def all_in_one_cell_at_the_end(nb, desk):
    nb["cells"].append(own("\n\n".join(source_of(nb, name) for name in FUNCTIONS)))
    for name in FUNCTIONS:
        cell(nb, name)["source"] = desk.stub(name)


def all_in_the_first_answer(nb, desk):
    whole = "\n\n".join(source_of(nb, name) for name in FUNCTIONS)
    nb["cells"] = [c for c in nb["cells"] if name_of(c) not in FUNCTIONS[1:]]
    cell(nb, "decode")["source"] = whole


def answered_in_the_test(nb, desk):
    test = cell(nb, "test_decode")
    test["source"] = f"{test['source']}\n\n{source_of(nb, 'decode')}"
    nb["cells"].remove(cell(nb, "decode"))


def answered_in_a_test_that_was_edited(nb, desk):
    test = cell(nb, "test_decode")
    edited = test["source"].replace("got", "mine")
    test["source"] = f"{edited}\n\n{source_of(nb, 'decode')}"
    cell(nb, "decode")["source"] = "# below"


def imports_in_our_first_cell(nb, desk):
    cell(nb, "setup")["source"] += "\nimport numpy as np"
    answer = cell(nb, "overflow")
    answer["source"] = answer["source"].replace(
        "    beyond", "    np.ones(1)\n    beyond"
    )


def git_s_conflict(nb, desk):
    mine = source_of(nb, "decode").rstrip()
    other = "def decode(a, b, c):\n    return 3"
    cell(nb, "decode")["source"] = (
        f"<<<<<<< HEAD\n{mine}\n=======\n{other}\n>>>>>>> origin/main"
    )


def git_s_conflict_in_counters(nb, desk):
    count = '   "execution_count": {},\n'
    both = f"<<<<<<< HEAD\n{count.format(3)}=======\n{count.format(4)}>>>>>>> other\n"
    return json.dumps(nb, indent=1).replace(count.format("null"), both).encode()


# ------------------------------------------------------------------ what is in them


def withheld_but_unused(nb, desk):
    nb["cells"].insert(2, own("import lib.formats, numpy as np\nTWO = 2"))
    for name in ("decode", "overflow"):
        line = "from lib.formats import *\nimport ml_dtypes\n"
        cell(nb, name)["source"] = line + source_of(nb, name)
    answer = cell(nb, "overflow")
    answer["source"] = answer["source"].replace(
        "    end =", "    np.ones(TWO)\n    end ="
    )


def large_outputs(nb, desk):
    lines = ["[" * 40 + "{" * 40 + "\n"] * 12_000
    shown = {"output_type": "stream", "name": "stdout", "text": lines}
    cell(nb, "decode")["outputs"] = [shown]
    state = {"state": {"a": [], "b": {}}}
    nb["metadata"]["widgets"] = {f"{number}": state for number in range(100_000)}
    nb["metadata"]["loss"] = float("nan")


def nearly_numbers_and_lists(nb, desk):
    decode, line = cell(nb, "decode"), cell(nb, "number_line")
    decode["source"] = "from fractions import Fraction\n" + decode["source"].replace(
        "return sign", "value = sign"
    )
    decode["source"] += "\n    return Fraction(value) if value else value"
    line["source"] = "from collections import UserList\n" + line["source"].replace(
        "return numbers", "return UserList(numbers)"
    )


# ------------------------------------------------------------------ words


def words_elsewhere(nb, desk, kind):
    here = place(nb, WRITTEN)
    nb["cells"].insert(here + 1, own(source_of(nb, WRITTEN), kind))
    nb["cells"][here]["source"] = desk.stub(WRITTEN)


def words_in_a_cell_below(nb, desk):
    words_elsewhere(nb, desk, "markdown")


def words_in_a_cell_of_code(nb, desk):
    words_elsewhere(nb, desk, "code")


def words_under_the_question(nb, desk):
    here = place(nb, WRITTEN)
    nb["cells"][here - 1]["source"] += f"\n\n{source_of(nb, WRITTEN)}"
    del nb["cells"][here]


def words_in_two_cells(nb, desk):
    here, words = place(nb, WRITTEN), source_of(nb, WRITTEN).split(" ")
    nb["cells"].insert(here + 1, copy.deepcopy(nb["cells"][here]) | {"id": "b"})
    nb["cells"][here]["source"] = " ".join(words[:9])
    nb["cells"][here + 1]["source"] = " ".join(words[9:])


def words_beside_a_screenshot(nb, desk):
    picture = f"\n![x](data:image/png;base64,{'iVBORw0K' * (1 << 18)})"
    cell(nb, WRITTEN)["source"] += picture


def words_anywhere(nb, desk):
    nb["cells"].insert(3, nb["cells"].pop(place(nb, WRITTEN)))
    stripped(nb, desk)


ODD = [
    *(stripped, stripped_and_one_id_for_all, stripped_and_reversed, colab, nbformat_3),
    *(stripped_and_cards_deleted, turned_to_text, magics, stripped_magics, prompts),
    *(cut_in_a_function, cut_and_stripped, cut_between_helper_and_answer),
    *(an_older_version_above, answered_below_the_stub, answered_above_the_stub),
    *(all_in_one_cell_at_the_end, all_in_the_first_answer, answered_in_the_test),
    *(answered_in_a_test_that_was_edited, imports_in_our_first_cell, git_s_conflict),
    *(git_s_conflict_in_counters, withheld_but_unused, large_outputs),
    *(nearly_numbers_and_lists, words_in_a_cell_below, words_in_a_cell_of_code),
    *(words_under_the_question, words_in_two_cells, words_anywhere),
    words_beside_a_screenshot,
]
SAYS = {  # whom it concerns reads what was done
    stripped: "was found beside it",
    words_anywhere: "nor beside it",
    an_older_version_above: "2 times: the last counts",
    answered_below_the_stub: "in another cell than its own",
    cut_in_a_function: "cut in two",
    git_s_conflict: "the side above ======= counts",
    withheld_but_unused: "'import lib.formats, numpy as np' was left out",
}


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__)
def test_an_odd_notebook_of_right_answers_loses_nothing(desk, odd):
    nb = desk.answered()
    words = source_of(nb, WRITTEN)
    points, read_by, graded = desk.grade(odd(nb, desk) or nb)
    assert (points, read_by, graded.state) == (ALL, None, "graded"), graded.notes
    shown = source_of(loaded(graded.notebook), WRITTEN)
    assert " ".join(words.split()) in " ".join(shown.split())
    assert len(shown) < 100_000
    assert SAYS.get(odd, "") in "\n".join(graded.notes)


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"]
)
def test_an_odd_encoding_loses_nothing(desk, encoding):
    text = json.dumps(desk.answered(), ensure_ascii=False)
    points, read_by, _ = desk.grade(text.encode(encoding, "replace"))
    assert (points, read_by) == (ALL, None)


def test_an_answer_that_is_not_there_is_no_person_s_work(desk):
    nb = desk.answered()
    cell(nb, WRITTEN)["source"] = desk.stub(WRITTEN)
    stripped(nb, desk)
    points, words, _ = desk.grade(nb)
    assert (points, words) == (ALL, 0)


def test_two_sides_that_differ_are_told_to_whoever_left_them(desk):
    text = json.dumps(desk.answered(), indent=1)
    other = text.replace("sign = -1.0", "sign = +1.0")
    both = f"<<<<<<< HEAD\n{text}\n=======\n{other}\n>>>>>>> other\n"
    _, _, graded = desk.grade(both.encode())
    assert graded.state == "rejected" and "keep one of them" in graded.reasons[0]


def test_what_is_withheld_and_used_costs_its_point_and_says_what_to_do(desk):
    nb = desk.answered()
    line = "from lib.formats import all_values, FloatFormat\n"
    cell(nb, "number_line")["source"] = line + source_of(nb, "number_line").replace(
        "return numbers", "return all_values(FloatFormat('x', 2, 1)).tolist()"
    )
    points, _, graded = desk.grade(nb)
    assert points == ALL - 1
    assert any("put yours in their place" in note for note in graded.notes)


# ------------------------------------------------------------------ nothing to win


def a_test_under_an_answer_s_name(nb, desk):
    for c in nb["cells"]:
        if (name_of(c) or "").startswith("test_"):
            c["metadata"]["nbgrader"]["grade_id"] = "decode"
            c["source"] = PASSING


def stripped_tests_that_pass(nb, desk):
    for c in nb["cells"]:
        if (name_of(c) or "").startswith(("test_", "bonus_")):
            c["source"] = PASSING
    stripped(nb, desk)


def answers_that_carry_tests(nb, desk):
    for name in FUNCTIONS:
        cell(nb, name)["source"] += f"\n\n{PASSING}\nassert True\n2.0"


def a_conflict_in_the_tests(nb, desk):
    for c in nb["cells"]:
        if (name_of(c) or "").startswith("test_"):
            c["source"] = f"<<<<<<< a\n{PASSING}\n=======\n{c['source']}\n>>>>>>> b"


def magics_for_tests(nb, desk):
    nb["cells"].insert(2, own(f"%%capture\n{PASSING}\n%reset -f"))
    cell(nb, "setup")["source"] += f"\n{PASSING}"


def the_reference_by_an_import(nb, desk):
    for name in FUNCTIONS:
        cell(nb, name)["source"] = (
            "import lib.formats as r, lib\nfrom lib import formats\n"
            f"def {name}(*x):\n    return formats.decode(*x) or r.decode(*x)"
        )


def numbers_that_equal_all(nb, desk):
    cell(nb, "decode")["source"] = (
        "from fractions import Fraction\nfrom collections import UserList\n"
        "class Any(Fraction):\n    __eq__ = lambda *_: True\n"
        "class All(UserList):\n    __eq__ = lambda *_: True\n"
        "def decode(*_):\n    return Any(1)\n"
        "def number_line(*_):\n    return All()"
    )


def lists_without_end(nb, desk):
    cell(nb, "number_line")["source"] = (
        "from itertools import count\ndef number_line(*_):\n    return count()"
    )
    cell(nb, "decode")["source"] = (
        "from decimal import Decimal\ndef decode(*_): return Decimal('1E+99999999')"
    )


def words_for_code(nb, desk):
    nb["cells"] += [own(f"def {name}(*_): return 1", "markdown") for name in FUNCTIONS]


HOSTILE = [
    *(a_test_under_an_answer_s_name, stripped_tests_that_pass),
    *(answers_that_carry_tests, a_conflict_in_the_tests, magics_for_tests),
    *(the_reference_by_an_import, numbers_that_equal_all, lists_without_end),
    words_for_code,
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.__name__)
def test_leniency_wins_nothing(desk, hostile):
    nb = loaded(desk.release)
    hostile(nb, desk)
    points, _, graded = desk.grade(nb)
    assert (points, graded.state) == (0, "graded"), graded.reasons


def test_a_version_that_shadows_is_the_one_that_is_graded(desk):
    nb = desk.answered()
    wrong = "def decode(*_):\n    return 1"
    nb["cells"].insert(place(nb, "decode") + 1, own(wrong))
    points, _, _ = desk.grade(nb)
    assert points == ALL - 2
