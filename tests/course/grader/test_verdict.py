"""One verdict: what Validate says at a student's desk, the referee says in the box."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.utils import determine_grade
from nbgrader.validator import Validator
from traitlets.config import PyFileConfigLoader

from course.grader.judging import referee
from course.grader.judging.intake import rebuild
from course.grader.judging.parsing import parse
from course.grader.terms import ROOT

OURS = "import torch\nX = torch.tensor([[3.0, -1.0], [4.0, 2.0]])\nTURNED = X.T"
CASES = {  # an answer, what its test asserts, and whether that holds
    "warns": ("import warnings\n    warnings.warn('careful')", "f(X) is None", True),
    "reports": ("import sys\n    print(50, '%', file=sys.stderr)", "not f(X)", True),
    "logs": ("import logging\n    logging.error('no')", "f(X) is None", True),
    "raises": ("raise ValueError('no')", "f(X) is None", False),
    "in_place": ("return x.clamp_(min=0)", "f(X[:1].clone()).sum() == 3", True),
    "argument": ("x.clamp_(min=0)", "f(y := X.clone()) or y.min() == 0", True),
    "spoiled": ("return x.mul_(2)", "f(y := X.clone()).equal(2 * y)", False),
    "contiguous": ("return x.view(-1)", "len(f(TURNED)) == 4", False),
    "any_strides": ("return x.reshape(-1)", "len(f(TURNED)) == 4", True),
    "turned": ("return x.T", "len(f(X).view(-1)) == 4", False),
    "grown": ("x.append(1)", "f(y := [2]) or y == [2, 1]", True),
}


def cell(name, source, **roles):
    meta = {"grade": False, "solution": False, "locked": True, "schema_version": 3}
    meta |= {"grade_id": name, "task": False} | roles
    return new_code_cell(source, metadata={"nbgrader": meta})


@pytest.fixture(scope="module")
def notebooks():
    """A release, and the same with every answer in it."""
    release = new_notebook(cells=[cell("ours", OURS)])
    release.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    handed_in = copy.deepcopy(release)
    for name, (body, claim, _) in CASES.items():
        answer = cell(name, f"def f_{name}(x): ...", solution=True, locked=False)
        claim = claim.replace("f(", f"f_{name}(")
        test = cell(f"test_{name}", f"assert {claim}, 'no'", grade=True, points=1.0)
        release.cells += [answer, test]
        written = copy.deepcopy(answer)
        written.source = f"def f_{name}(x):\n    {body}"
        handed_in.cells += [written, copy.deepcopy(test)]
    return release, handed_in


def test_validate_and_the_box_give_one_verdict(box, notebooks, tmp_path):
    release, handed_in = notebooks
    path = tmp_path / "hw.ipynb"
    nbformat.write(handed_in, path)
    course = str(ROOT / "course")
    config = PyFileConfigLoader("nbgrader_config.py", path=course).load_config()
    config.CourseDirectory.root = str(tmp_path)
    said = Validator(config=config).validate(str(path)).get("failed", [])
    at_desk = {name for name in CASES if any(f"f_{name}(" in x["source"] for x in said)}

    taken = rebuild(release, parse(nbformat.writes(handed_in).encode()))
    graded = referee.grade(release, taken, box).notebook
    in_box = {
        c.metadata.nbgrader.grade_id.removeprefix("test_")
        for c in graded.cells
        if c.metadata.get("nbgrader", {}).get("grade") and determine_grade(c)[0] == 0
    }
    wrong = {name for name, (_, _, holds) in CASES.items() if not holds}
    assert at_desk == wrong and in_box == wrong
