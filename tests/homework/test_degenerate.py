"""Nothing but an answer passes: empty, NaN, broadcastable and the like lose all."""

import sys

import degenerate
import gates
import pytest
import torch
from nbformat.v4 import new_code_cell


@pytest.fixture(autouse=True)
def _plain_interpreter(monkeypatch):
    """A homework's cells may fence Triton's interpreter; other tests run without."""
    if interpreter := sys.modules.get("triton.runtime.interpreter"):
        builder, executor = interpreter.interpreter_builder, interpreter.GridExecutor
        monkeypatch.setattr(builder, "__class__", type(builder))
        monkeypatch.setattr(executor, "__call__", executor.__call__)
        monkeypatch.setattr(interpreter, "_implicit_cvt", interpreter._implicit_cvt)


@pytest.mark.parametrize("name", gates.HOMEWORKS)
def test_a_degenerate_answer_loses_every_point(name):
    kept = degenerate.complaints(name)
    assert not kept, "\n".join(kept)


def cell(hidden, shown="", points=2.0):
    source = (
        f"own_work('hw', f)\n{shown}\n{degenerate.HIDDEN}\n{hidden}\n{degenerate.SHOWN}"
    )
    meta = {"grade_id": "test_f", "grade": True, "solution": False, "points": points}
    return new_code_cell(source, metadata={"nbgrader": meta})


def kept_by(source, right=lambda x: x / 2, **names):
    """{"f.FIELD KIND": points} of a cell that tests one function."""
    function = degenerate.Function("f", right, "")
    tests = {"f": function, "torch": torch, "own_work": lambda *_: None, **names}
    return {kept.what: kept.points for kept in degenerate.Cell(source, tests).kept()}


X = "x = torch.tensor([[3.0, 5.0], [7.0, 0.0]])\nw = x / 2\n"
STRICT = "assert f(x).shape == w.shape and f(x).dtype == w.dtype and f(x).equal(w)"


def test_a_strict_test_leaves_nothing_over():
    assert kept_by(cell(X + STRICT)) == {}


@pytest.mark.parametrize(
    ("lenient", "keeps"),
    [
        ("assert (f(x) == w).all()", {"empty, broadcasting", "twice"}),
        ("assert not ((f(x) - w).abs() > 0).any()", {"NaN", "NaN last", "as float64"}),
        ("assert f(x).shape == w.shape", {"zeros", "NaN", "its first everywhere"}),
        ("y = f(x)\nassert y.equal(x / 2)", {degenerate.CLOBBERED}),
        ("assert f(x).flatten().equal(w.flatten())", {"flat", "a dimension more"}),
    ],
)
def test_what_a_lenient_test_lets_pass_is_found(lenient, keeps):
    found = kept_by(cell(X + lenient))
    assert {f"f {kind}" for kind in keeps} <= found.keys() and set(found.values()) == {
        2.0
    }


def test_partial_credit_is_found_too():
    assert kept_by(cell(X + "float(1 + f(x).equal(w))"))["f zeros"] == 1.0


def test_where_a_student_sees_the_numbers_the_answer_is_right():
    shown = X + "assert f(x).equal(w)"
    assert kept_by(cell(X + STRICT, shown)) == {}
    assert kept_by(cell("assert len(f(x + 1)) == 2", shown)) != {}


def test_each_field_is_wrong_in_turn():
    first_alone = cell(X + "a, _ = f(x)\nassert a.dtype == w.dtype and a.equal(w)")
    found = kept_by(first_alone, right=lambda x: (x / 2, x))
    assert {what.split(" ")[0] for what in found} == {"f.1"}


def test_what_was_clobbered_is_there_again():
    constant = torch.ones(3)
    assert kept_by(cell("assert f(K).equal(K / 2)"), K=constant) != {}
    assert constant.equal(torch.ones(3))


def test_a_number_is_no_argument_that_can_change_in_place():
    assert kept_by(cell("assert f(3.0) == 1.5")) == {}
