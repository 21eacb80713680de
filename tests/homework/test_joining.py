"""Mutants share a notebook only where neither can reach the other's tests."""

import gates
import pytest
from joining import joined, reach, reached, taken_apart
from nbformat.v4 import new_code_cell, new_notebook


def cell(source, grade_id, *, graded=False, solution=False):
    one = new_code_cell(source)
    one.metadata["nbgrader"] = {
        "grade": graded,
        "solution": solution,
        "grade_id": grade_id,
        "points": 1,
    }
    return one


@pytest.fixture
def nb():
    """An answer `f` that `g`'s test reaches through a tool, and an answer `h`."""
    return new_notebook(
        cells=[
            cell("def tool(x):\n    return f(x)", "tools"),
            cell("def f(x):\n    return 1", "f", solution=True),
            cell("assert f(0) == 1", "test_f", graded=True),
            cell("def g(x):\n    return 2", "g", solution=True),
            cell("assert g(0) == tool(0) + 1", "test_g", graded=True),
            cell("def h(x, f):\n    return f + 3", "h", solution=True),
            cell("assert h(0, 0) == 3", "test_h", graded=True),
        ]
    )


def mutant(**changes):
    lines = [f"def {name}(x):\n    return {text}\n" for name, text in changes.items()]
    return gates.Answers.parse("\n".join(lines))


def test_reach_goes_through_helpers_and_stops_at_names_that_a_function_binds(nb):
    assert reach(nb) == {"f": {"test_f", "test_g"}, "g": {"test_g"}, "h": {"test_h"}}


def test_mutants_are_joined_where_they_reach_different_tests(nb):
    mutants = {"a": mutant(f="5"), "b": mutant(g="6"), "c": mutant(h="7")}
    (first, its), (second, others) = joined(nb, mutants)
    assert (its, others) == (["a", "c"], ["b"])
    assert "return 5" in first.cells[1].source and "return 7" in first.cells[5].source
    assert "return 6" in second.cells[3].source and "return 1" in second.cells[1].source


def test_two_that_bring_helpers_stay_apart(nb):
    mutants = {"a": mutant(f="helper()", helper="1"), "c": mutant(h="7", helper="2")}
    assert len(joined(nb, mutants)) == 2


def test_what_is_lost_goes_to_whose_reach_it_is_in_or_to_all(nb):
    mutants = {"a": mutant(f="5"), "c": mutant(h="7")}
    lost = {"score": 0.0, "max": 1.0, "manual": False}
    grades = {name: dict(lost) for name in ("test_f", "test_g", "test_h", "other")}
    report = {"grades": {"s": grades}, "states": {"s": "graded"}}
    apart = taken_apart(nb, mutants, {"s": ["a", "c"]}, report)
    assert apart["states"] == {"mutant_a": "graded", "mutant_c": "graded"}
    losses = {who: set(gates.losses(cells)) for who, cells in apart["grades"].items()}
    assert losses == {
        "mutant_a": {"test_f", "test_g", "other"},
        "mutant_c": {"test_h", "other"},
    }


@pytest.mark.parametrize("name", gates.HOMEWORKS)
def test_every_mutant_is_in_one_notebook_alone_in_its_reach(name):
    mutants, reaches = gates.mutants(name), reach(gates.read(name))
    rooms = [its for _, its in joined(gates.read(name), mutants)]
    assert sorted(mutants) == sorted(one for its in rooms for one in its)
    for its in rooms:
        seen = [grade_id for one in its for grade_id in reached(mutants[one], reaches)]
        assert len(seen) == len(set(seen)), its
