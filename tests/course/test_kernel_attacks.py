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

from course.grader.terms import Homework, Limits, Submission
from course.grader.worker import Worker
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
NO_TILE = ("tl.zeros((ROWS, 16), tl.float32)", "0.0")  # the compiler refuses it
IDLE = """
@triton.jit
def idle(w):
    pass
"""
NO_GUARD = """exec('''
import torch, lib.exercises.kernels.isolated as guard
def decode(packed, steps, zeros, cols, group):
    codes = torch.stack([packed & 15, packed >> 4], 2).flatten(1)[:, :cols].float()
    each = [t.repeat_interleave(group, 1)[:, :cols].float() for t in (steps, zeros)]
    return each[0] * (codes - each[1])
guard.only_kernels = lambda function: decode
''')"""
TWICE = f"""
@(lambda kernel: {NO_GUARD} or kernel)
@triton.jit
def dequantize_kernel():
    pass
{LAUNCH_ONLY}"""
EVAL_IS_OWN = f"""{IDLE}
def product(x, packed, steps, zeros, group):
    unused = lambda eval: 0
    idle[(1,)](x)
    return eval("weights_of(packed, steps, zeros, x.shape[1], group) @ x")
"""
ANNOTATED = f"""{IDLE}
def split_product(x, *matrix: {NO_GUARD}, **more: {NO_GUARD}):
    idle[(1,)](x)
    return torch.zeros(matrix[0].shape[0])
"""
IN_A_STRING = f"""
@triton.jit
def dequantize_kernel(packed, steps, zeros, w, cols, group):
    '''
def dequantize_kernel(packed, steps, zeros, w, cols, group):
    {NO_GUARD.replace("'''", chr(34) * 3)}
    '''
    tl.static_print("'''#")
def dequantize(packed, steps, zeros, cols, group):
    w = torch.empty(packed.shape[0], cols)
    dequantize_kernel[(1,)](packed, steps, zeros, w, cols, group)
    return w
"""
IN_THE_GRID = f"""{IDLE}
def work(m, x, packed, y):
    y[:] = packed & 15
    return 1,
def product(x, packed, steps, zeros, group):
    y = torch.empty(x.shape[0], packed.shape[0])
    idle[lambda m: work(m, x, packed, y)](y)
    return y
"""
FORMATTED = """
@triton.jit
def one(y, value):
    tl.store(y, value)
def split_product(x, packed, steps, zeros, group, splits):
    y = torch.empty(steps.shape[0])
    one[(1,)](y, float(f"{x[0]:f}") * 0)
    return y
"""
VERDICT = """
@(lambda f: __import__("os").write(1, b'{"name": "fast"}') and f)
@triton.jit
def fast():
    pass


def rows_of_a_program() -> int:
    return 16
"""
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
    "not_all_is_read": (
        TORCH,
        {
            "dequantize": TWICE,
            "product": EVAL_IS_OWN,
            "split_product": ANNOTATED,
            "rows_of_a_program": VERDICT,
        },
        {"test_dequantize": 2, "test_product": 2, "test_split_product": 2}
        | {"bonus_fast": 3},
    ),
    "another_way_in": (
        "",
        {
            "dequantize": IN_A_STRING,
            "product": IN_THE_GRID,
            "split_product": FORMATTED,
            "fast": NO_TILE,
        },
        {"test_dequantize": 2, "test_product": 2, "test_split_product": 2}
        | {"bonus_fast": 2},
    ),
}
TOLD = {  # a word of what each of these is told
    "not_all_is_read": {
        "test_dequantize": "is there twice",
        "test_product": "`eval` is not of this cell",
        "test_split_product": "3 splits want 3 programs",
        "bonus_fast": "is there twice",
    },
    "another_way_in": {
        "test_dequantize": "nan, and",
        "test_product": "asks PyTorch for `__and__`",
        "test_split_product": "makes text of a tensor",
        "bonus_fast": "No GPU will run it",
    },
}


@pytest.fixture(scope="module")
def homework():
    if not shutil.which("bwrap") and os.environ.get("CI") != "true":
        pytest.skip("grading needs bubblewrap: apt-get install bubblewrap")
    source = SOURCE.read_text(encoding="utf-8")
    return Homework(NAME, source, source, WITHHELD[NAME], Limits())


@pytest.fixture(scope="module")
def worker():
    """Whose desk is a process of its own, as in a real class."""
    at_work = Worker()
    yield at_work
    at_work.retire()


def handed_in(homework, first, answers):
    notebook = nbformat.reads(homework.source, as_version=4)
    for name, text in answers.items():
        cell = next(c for c in notebook.cells if f"def {name}(" in c.source)
        if isinstance(text, tuple):
            cell.source = cell.source.replace(*text)
        elif name != "rows_of_a_program":
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
def test_an_answer_gets_what_its_text_is_worth(homework, worker, attack):
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
    for test, word in TOLD.get(attack, {}).items():
        assert word in told[test]
