"""A notebook with one function, graded in a box: for tests of the referee."""

import copy

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.utils import determine_grade

from course.grader.judging import referee
from course.grader.judging.intake import rebuild
from course.grader.judging.parsing import parse

ROLES = {
    "ours": {"grade": False, "solution": False, "locked": True},
    "answer": {"grade": False, "solution": True, "locked": False},
    "test": {"grade": True, "solution": False, "locked": True, "points": 2.0},
}


def cell(role, name, source):
    meta = {"grade_id": name, "schema_version": 3, "task": False} | ROLES[role]
    return new_code_cell(source, metadata={"nbgrader": meta})


def graded(box, answer, *tests, ours="import math", limits=None, mine=None):
    """The cells by name, and the verdict, of a notebook with one function `f`.

    `mine` is a cell of the student's own, or several, behind the answer.
    """
    release = new_notebook(
        cells=[
            cell("ours", "imports", ours),
            cell("answer", "f", "def f(x): ..."),
            *(cell("test", f"test_{n}", source) for n, source in enumerate(tests)),
        ]
    )
    theirs = copy.deepcopy(release)
    theirs.cells[1].source = answer
    own = [mine] if isinstance(mine, str) else mine or []
    theirs.cells[2:2] = [new_code_cell(source) for source in own]
    taken = rebuild(release, parse(nbformat.writes(theirs).encode()))
    kept = box.limits
    box.limits = limits or kept
    try:
        verdict = referee.grade(release, taken, box)
    finally:
        box.limits = kept
    cells = [c for c in verdict.notebook.cells if "nbgrader" in c.metadata]
    return {c.metadata.nbgrader.grade_id: c for c in cells}, verdict


def points(cells):
    """What nbgrader reads off each test cell, in their order."""
    return [determine_grade(c)[0] for name, c in cells.items() if "test" in name]


def said(cell):
    return "\n".join(o.get("evalue", o.get("text", "")) for o in cell.outputs)
