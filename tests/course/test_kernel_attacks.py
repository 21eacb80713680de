"""Attacks on what is judged by its text: hw_kernels' answers, and its compiled bonus.

Each is a cell of the student's own, before all others or behind an answer, and answers
replaced; it may get no more than its answers are worth.
"""

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.utils import determine_grade

from course.grader import worker
from course.grader.terms import Homework, Limits, Submission
from lib.exercises.own_work import WITHHELD

NAME = "hw_kernels"
SOURCE = Path(__file__).parents[2] / "solutions" / NAME / f"{NAME}.ipynb"
TORCH = """
def weights_of(packed, steps, zeros, cols, group):
    codes = torch.stack([packed & 15, packed >> 4], 2).flatten(1)[:, :cols].float()
    each = [t.repeat_interleave(group, 1)[:, :cols].float() for t in (steps, zeros)]
    return each[0] * (codes - each[1])
"""
REDEFINES = """
def dequantize(packed, steps, zeros, cols, group):
    return weights_of(packed, steps, zeros, cols, group)
"""
PATCHES_THE_READER = """
import sys, torch, triton, lib.exercises
for name, module in list(sys.modules.items()):
    if name.startswith("lib.exercises"):
        for patched in ("read", "isolated", "only_kernels"):
            setattr(module, patched, lambda f, *a: f)
class Jit:
    def __init__(self, fn): self.fn = fn
    def __getitem__(self, grid):
        def run(packed, steps, zeros, w, cols, group, BLOCK):
            w.copy_(weights_of(packed, steps, zeros, cols, group))
        return run
triton.jit = Jit
"""
FORGES_THE_COMPILER = """
import lib.hopper, subprocess
made = lib.hopper.Compiled("fast", 8, 0, 0, {"mma": 99}, 0, {"i8": 16})
lib.hopper.compiled_text = lambda *a: made
subprocess.run = None
"""
LAUNCH_ONLY = """
@triton.jit
def dequantize_kernel(packed, steps, zeros, w, cols, group, BLOCK: tl.constexpr):
    pass
def dequantize(packed, steps, zeros, cols, group):
    w = torch.empty(packed.shape[0], cols)
    dequantize_kernel[(1,)](packed, steps, zeros, w, cols, group, BLOCK=1)
    return w
"""
RUNS_WHEN_READ = """
import torch
def rows_of_a_program(x=__import__("os").system("touch taken")) -> int:
    return 32
"""
NARROW = "def rows_of_a_program() -> int:\n    return 16\n"
ALL = {"test_least_time": 1, "test_dequantize": 2, "test_product": 2}
ALL |= {"test_split_product": 2, "bonus_fast": 3}
ATTACKS = {  # a cell of their own, answers replaced, and what must be lost
    "honest": ("", {}, {}),
    "redefines": (
        TORCH + REDEFINES,
        {"dequantize": LAUNCH_ONLY},
        {"test_dequantize": 2},
    ),
    "patches_the_reader": (
        TORCH + PATCHES_THE_READER,
        {"dequantize": LAUNCH_ONLY},
        {"test_dequantize": 2},
    ),
    "forges_the_compiler": (
        FORGES_THE_COMPILER,
        {"rows_of_a_program": NARROW},
        {"bonus_fast": 1},
    ),
    "runs_when_read": ("", {"rows_of_a_program": RUNS_WHEN_READ}, {"bonus_fast": 3}),
}


@pytest.fixture(scope="module")
def homework():
    if not shutil.which("bwrap") and os.environ.get("CI") != "true":
        pytest.skip("grading needs bubblewrap: apt-get install bubblewrap")
    source = SOURCE.read_text(encoding="utf-8")
    yield Homework(NAME, source, source, WITHHELD[NAME], Limits())
    for desk in worker._desks.values():  # a process of its own, as in a real class
        desk.stdin.close()
        desk.wait()
        desk.stdout.close()
    worker._desks.clear()


def handed_in(homework, first, answers):
    notebook = nbformat.reads(homework.source, as_version=4)
    for name, text in answers.items():
        cell = next(c for c in notebook.cells if f"def {name}(" in c.source)
        if name == "dequantize":
            cell.source = text
        else:
            old = re.search(rf"def {name}\(.*?(?=\n\n\n)", cell.source, re.DOTALL)
            cell.source = cell.source.replace(old[0], text)
    behind = [n for n, c in enumerate(notebook.cells) if c.source == LAUNCH_ONLY]
    place = behind[0] + 1 if first.endswith(REDEFINES) else 1
    notebook.cells.insert(place, new_code_cell(first or "pass"))
    content = nbformat.writes(notebook).encode()
    return Submission(homework.name, "mallory", content, None)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_answer_gets_what_its_text_is_worth(homework, attack):
    first, answers, loses = ATTACKS[attack]
    graded = worker.assess(homework, handed_in(homework, first, answers))
    lost, told = {}, {}
    for cell in nbformat.reads(graded.notebook, as_version=4).cells:
        kind = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and kind.get("grade"):
            told[kind["grade_id"]] = str(cell.outputs)[:700]
            if missing := ALL[kind["grade_id"]] - determine_grade(cell)[0]:
                lost[kind["grade_id"]] = missing
    assert told.keys() == ALL.keys()
    assert lost == loses, told
