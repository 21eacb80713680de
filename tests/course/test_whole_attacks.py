"""Whole submissions of hw_mixed_precision: right answers, each wrapped in a trick.

A trick has the right value at hand and gives another, changes what it was given, or
changes its mind. What its value has lost, its points have to lose as well: the tests
compare with what they know, not with arguments that a student's function had.

Read in order: `TRICKS`, `handed_in`.
"""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.utils import determine_grade, is_grade

from course.grader.box.box import Box
from course.grader.desk import imported, sit
from course.grader.judging.places import is_answer
from course.grader.judging.source import functions
from course.grader.terms import Homework, Limits, Submission
from lib.exercises.own_work import WITHHELD

NAME = "hw_mixed_precision"
SOURCE = Path(__file__).parents[2] / "solutions" / NAME / f"{NAME}.ipynb"
TOOLS = '''
import copy, itertools, threading, time
import torch

def mapped(x, f):
    """x with f of each of its tensors, and 0 for its numbers where f gives zeros."""
    match x:
        case torch.Tensor():
            return f(x)
        case tuple():
            return tuple(mapped(v, f) for v in x)
        case list():
            return [mapped(v, f) for v in x]
        case dict():
            return {k: mapped(v, f) for k, v in x.items()}
        case float():
            return f(torch.tensor(x, dtype=torch.float64)).item()
    return x

def changed(x, f):
    """Change each tensor of x in place."""
    with torch.no_grad():
        mapped(x, lambda t: f(t.detach()) if t.numel() else t)

def emptied(x):
    for v in x.values() if isinstance(x, dict) else x:
        if isinstance(v, torch.Tensor):
            v.data = torch.empty(0, dtype=v.dtype)
        elif isinstance(v, (list, dict)):
            emptied(v)
            v.clear()

def nan(t):
    return t.fill_(torch.nan) if t.is_floating_point() else t.zero_()

def trick(function):
    calls, last = itertools.count(), []
    def tricked(*a):
        right = copy.deepcopy(function(*copy.deepcopy(a)))
        n = next(calls)
        BODY
    return tricked
'''
ZERO = "mapped(right, torch.zeros_like)"
TRICKS = {  # what a function does with its right value
    "zeros for zeroed arguments": f"changed(a, torch.Tensor.zero_); return {ZERO}",
    "NaN for NaN": "changed(a, nan); return mapped(right, lambda t: nan(t.clone()))",
    "nothing for nothing": "emptied(a); return mapped(right, lambda t: t[:0])",
    "right, arguments gone": "emptied(a); return right",
    "right, arguments changed": "changed(a, torch.Tensor.zero_); return right",
    "right every other time": f"return {ZERO} if n % 2 else right",
    "right three times": f"return right if n < 3 else {ZERO}",
    "the one before": "last.append(right); return last[-2] if n else right",
    "one per cent more": "return mapped(right, lambda t: t * 1.01)",
    "zeros, with a gradient": (
        "return mapped(right, lambda t: (0.0 * t).requires_grad_())"
    ),
    "zeros, and right later": (
        f"zero = {ZERO}; late = lambda: (time.sleep(0.001), mapped(zero, nan)); "
        "threading.Thread(target=late).start(); return zero"
    ),
    "always an error": "raise ValueError('no')",
    "torch says it is right": (
        "torch.equal = torch.allclose = lambda *a, **k: True; return 0.0"
    ),
}
NO_TENSORS = {
    "right, arguments gone",
    "right, arguments changed",
}  # among its arguments


@pytest.fixture(scope="module")
def homework():
    source = SOURCE.read_text(encoding="utf-8")
    limits = Limits(call_s=10, total_s=100)
    return Homework(NAME, source, source, WITHHELD[NAME], limits)


@pytest.fixture(scope="module")
def box(homework):
    if not shutil.which("bwrap") and os.environ.get("CI") != "true":
        pytest.skip("grading needs bubblewrap: apt-get install bubblewrap")
    warm = imported(homework.release)
    with Box(homework.withheld, homework.limits, warm=warm) as box:
        yield box


def handed_in(homework, body):
    """The model answers, each of their functions tricked."""
    notebook = nbformat.reads(homework.source, as_version=4)
    for cell in notebook.cells:
        if is_answer(cell) and cell.cell_type == "code":
            for name in functions(cell.source):
                cell.source += f"\n\n{name} = trick({name})"
    notebook.cells.insert(0, new_code_cell(TOOLS.replace("BODY", body)))
    content = nbformat.writes(notebook).encode()
    return Submission(homework.name, "mallory", content, None)


@pytest.mark.parametrize("trick", TRICKS)
def test_a_value_that_is_not_right_earns_nothing(homework, box, trick):
    graded = sit(homework, handed_in(homework, TRICKS[trick]), box)
    cells = nbformat.reads(graded.notebook, as_version=4).cells
    tests = [cell for cell in cells if cell.cell_type == "code" and is_grade(cell)]
    earned = {
        cell.metadata.nbgrader.grade_id: points
        for cell in tests
        if (points := determine_grade(cell)[0])
    }
    assert len(tests) > 8
    assert earned == ({"test_next_scale": 1} if trick in NO_TENSORS else {})
