"""Every homework keeps the contract of tests/homework/README.md."""

import ast
import re

import gates
import pytest

from lib.exercises.own_work import WITHHELD

HIDDEN = ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS")
SOLUTION = ("### BEGIN SOLUTION", "### END SOLUTION")


@pytest.fixture(params=gates.HOMEWORKS)
def name(request):
    return request.param


@pytest.fixture
def cells(name):
    return gates.read(name).cells


def of_role(cells, role):
    found = [cell for cell in cells if gates.role(cell) == role]
    assert found, f"there is no {role}: what is said of each would be said of none"
    return found


def test_the_first_cell_states_the_points(cells):
    worth = [
        (cell.metadata.nbgrader.grade_id, cell.metadata.nbgrader.points)
        for cell in cells
        if gates.role(cell) in ("test", "written")
    ]
    bonus = sum(points for grade_id, points in worth if grade_id.startswith("bonus"))
    points = sum(points for _, points in worth) - bonus
    assert bonus > 0, "a homework has a bonus"
    assert f"{points:g} points" in cells[0].source
    assert f"{bonus:g} bonus" in cells[0].source


def test_grade_ids_are_unique_and_identifiers(cells):
    ids = [cell.metadata.nbgrader.grade_id for cell in cells if gates.role(cell)]
    assert len(ids) == len(set(ids))
    assert all(grade_id.isidentifier() for grade_id in ids), ids


def test_there_is_a_written_question_with_a_model_answer(cells):
    for cell in of_role(cells, "written"):
        assert all(marker in cell.source for marker in SOLUTION), cell.id


def test_an_answer_is_functions_with_the_body_left_out(cells):
    for cell in of_role(cells, "answer"):
        assert all(marker in cell.source for marker in SOLUTION), cell.id
        for node in ast.parse(cell.source).body:
            kinds = ast.FunctionDef | ast.Import | ast.ImportFrom
            assert isinstance(node, kinds), f"{cell.id}: {ast.unparse(node)}"
            if isinstance(node, ast.FunctionDef):
                assert ast.get_docstring(node), f"{node.name} states no contract"


def speaks(node, tools=()):
    """Whether a check has a message, as `agree` and tools have; None for all else."""
    match node:
        case ast.Assert(msg=message):
            return message is not None
        case ast.Call(ast.Name("agree" | "agree_or_follow" | "close" | "same")):
            return True
        case ast.Call(ast.Name(name)) if name in tools:
            return True
    return None


def speaking(cells):
    """The functions of our own cells that check, and always say what is wrong."""
    ours = [c for c in cells if c.cell_type == "code" and gates.role(c) == "text"]
    functions = {k: f for cell in ours for k, f in gates.functions_of(cell).items()}
    found = {k: [speaks(n) for n in ast.walk(f)] for k, f in functions.items()}
    return {k for k, said in found.items() if True in said and False not in said}


def test_a_test_has_a_visible_part_that_teaches_and_a_hidden_one(name, cells):
    tools = speaking(cells)
    for cell in of_role(cells, "test"):
        assert cell.metadata.nbgrader.locked, cell.id
        before, rest = cell.source.split(HIDDEN[0])
        hidden, after = rest.split(HIDDEN[1])
        visible = before + after
        assert f'own_work("{name}", ' in visible, cell.id
        checks = [speaks(n, tools) for n in ast.walk(ast.parse(visible))]
        assert True in checks and False not in checks, f"{cell.id} has mute checks"
        own = [
            n.name for n in ast.parse(visible).body if isinstance(n, ast.FunctionDef)
        ]
        checks = [
            "assert",
            "agree(",
            "agree_or_follow(",
            "close(",
            "same(",
            "float(",
            *(f"{name}(" for name in (*own, *tools)),
        ]
        assert any(check in hidden for check in checks), cell.id
        borrowed = [w for w in WITHHELD[name] if f"import {w}" in visible]
        assert not borrowed, f"{cell.id} imports {borrowed} before a student's eyes"


def test_an_exercise_is_a_card(cells):
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    exercises = len(of_role(cells, "answer"))
    assert text.count("★") >= exercises, "stars say how hard an exercise is"
    assert len(re.findall(r"\d+ min", text)) >= exercises, "and minutes how long"
    assert text.count("<details>") >= 2 * exercises, "a ladder has at least two rungs"
    assert text.count("<details>") == text.count("</details>")


def test_there_are_eight_named_mutants_and_a_whole_alternative(name, cells):
    mutants = gates.mutants(name)
    assert len(mutants) >= 8
    tests = {cell.metadata.nbgrader.grade_id for cell in of_role(cells, "test")}
    for mutant, answers in mutants.items():
        assert answers.docstring, f"{mutant} does not name its misconception"
        assert answers.loses and answers.loses <= tests, mutant
    missed = tests - frozenset().union(*(m.loses for m in mutants.values()))
    assert not missed, f"no mutant tries {missed}"
    asked = {f for cell in of_role(cells, "answer") for f in gates.functions_of(cell)}
    assert asked <= gates.alternatives(name)["alternative"].functions.keys()
