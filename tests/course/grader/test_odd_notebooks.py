"""What editors and habits do to the model solution of hw_formats costs no point.

    release → a right answer in each cell → mangled → read, graded: 11 of 11, and the
    written answer waits for a person

The other way round, nothing that a student says about their cells wins a point.
"""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbgrader.utils import determine_grade, is_grade

from course.grader.bench import course_of
from course.grader.box.box import Box
from course.grader.desk import sit
from course.grader.terms import Limits, Submission
from lib.exercises.own_work import WITHHELD
from tests.course.grader.mangled import (
    ALL,
    FUNCTIONS,
    NAME,
    PASSING,
    WRITTEN,
    all_in_one_cell_at_the_end,
    all_in_the_first_answer,
    an_older_version_above,
    answered_above_the_stub,
    answered_below_the_stub,
    answered_in_a_test_that_was_edited,
    answered_in_the_test,
    cell,
    colab,
    cut_and_stripped,
    cut_between_helper_and_answer,
    cut_in_a_function,
    git_s_conflict,
    git_s_conflict_in_counters,
    imports_in_our_first_cell,
    large_outputs,
    loaded,
    magics,
    name_of,
    nbformat_3,
    nearly_numbers_and_lists,
    own,
    place,
    prompts,
    source_of,
    stripped,
    stripped_and_cards_deleted,
    stripped_and_one_id_for_all,
    stripped_and_reversed,
    stripped_magics,
    turned_to_text,
    withheld_but_unused,
    words_anywhere,
    words_beside_a_screenshot,
    words_in_a_cell_below,
    words_in_a_cell_of_code,
    words_in_two_cells,
    words_under_the_question,
)

ROOT = Path(__file__).parents[3]
LIMITS = Limits(call_s=10, total_s=100)


class Desk:
    """hw_formats as it is released, and graded."""

    def __init__(self, root, box):
        _, homework = course_of(root, NAME)
        self.homework = replace(homework, limits=LIMITS)
        self.source, self.release = homework.source, homework.release
        self.box = box

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


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    if not shutil.which("bwrap") and os.environ.get("CI") != "true":
        pytest.skip("the grader's tests need bubblewrap: apt-get install bubblewrap")
    with pytest.MonkeyPatch.context() as patch, Box(WITHHELD[NAME], LIMITS) as box:
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        patch.setenv("PATH", tools)  # nbgrader starts alembic
        yield Desk(tmp_path_factory.mktemp("odd"), box)


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
