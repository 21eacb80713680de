"""The gates notice what they are for: here on made-up grades, without nbgrader."""

import ast

import gates
import pytest
from nbformat.v4 import new_code_cell, new_notebook

NAME = "hw_formats"
POINTS = gates.graded(gates.read(NAME))
MUTANTS = gates.mutants(NAME)


def grades(*lost):
    return {
        grade_id: {"score": 0.0 if grade_id in lost else v, "max": v, "manual": False}
        for grade_id, v in POINTS.items()
    }


@pytest.fixture
def report():
    """What a homework without fault gets."""
    everyone = {
        "solution": grades(),
        **dict.fromkeys(gates.alternatives(NAME), grades()),
        "stub": grades(*POINTS),
        "borrower": grades(*POINTS),
    }
    for name, answers in MUTANTS.items():
        everyone[f"mutant_{name}"] = grades(*answers.loses)
    verdicts = {"solution": [], "stub": list(POINTS)}
    return {
        "grades": everyone,
        "states": dict.fromkeys(everyone, "graded"),
        "stock": everyone["solution"],
        "check": {"seconds": 3.0, "validate": verdicts, "referee": dict(verdicts)},
    }


def test_a_faultless_class_passes(report):
    assert gates.complaints(NAME, report) == []


@pytest.mark.parametrize(
    ("student", "gets", "says"),
    [
        ("solution", grades("test_mxfp4"), "solution is right and loses"),
        ("alternative", grades("test_mxfp4"), "alternative is right and loses"),
        ("stub", grades(), "stub should lose"),
        ("borrower", grades("test_mxfp4"), "borrower should lose"),
        ("mutant_truncates", grades(), "mutant truncates"),
        ("mutant_truncates", grades("test_decode"), "mutant truncates"),
        (
            "mutant_truncates",
            grades("test_round_nearest", "test_decode"),
            "mutant truncates",
        ),
    ],
)
def test_a_wrong_grade_is_noticed(report, student, gets, says):
    report["grades"][student] = gets
    assert any(says in wrong for wrong in gates.complaints(NAME, report))


def test_a_cell_that_was_never_graded_is_noticed(report):
    report["grades"]["stub"]["test_decode"]["score"] = None
    assert any("None" in wrong for wrong in gates.complaints(NAME, report))


def test_an_unhappy_validate_is_noticed(report):
    for verdicts in (report["check"]["validate"], report["check"]["referee"]):
        verdicts["solution"] = ["test_decode"]
    assert "Validate is unhappy" in gates.complaints(NAME, report)[0]


def test_a_validate_and_a_referee_that_disagree_are_noticed(report):
    report["check"]["validate"]["stub"] = []
    assert "at Validate" in gates.complaints(NAME, report)[0]


def test_a_submission_that_was_stopped_and_a_stock_that_differs_are_noticed(report):
    report["states"]["alternative"] = "stopped"
    report["stock"] = grades("test_mxfp4")
    assert len(gates.complaints(NAME, report)) == 2


def answer_cell(source, grade_id):
    cell = new_code_cell(source)
    cell.metadata["nbgrader"] = {"grade": False, "solution": True, "grade_id": grade_id}
    return cell


def test_answers_replace_functions_and_bring_their_helpers():
    marked = (
        "def f(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION\n\n\n"
        "def g(x):\n    return 1"
    )
    nb = new_notebook(cells=[answer_cell(marked, "a"), answer_cell("def h(): 3", "b")])
    answers = gates.Answers.parse(
        '"""Why."""\nimport math\nLOSES = ["t"]\n\ndef f(x):\n    return help(x)\n\n'
        "def help(x):\n    return 2 * x\n"
    )
    assert answers.docstring == "Why." and answers.loses == {"t"}
    after = gates.answered(nb, answers)
    functions = gates.functions_of(after.cells[0])
    assert functions.keys() == {"help", "f", "g"}
    assert ast.unparse(functions["f"]) == "def f(x):\n    return help(x)"
    assert "import math" in after.cells[0].source
    assert "LOSES" not in after.cells[0].source
    assert after.cells[1].source == "def h(): 3"


def test_a_decorated_function_is_replaced_with_its_decorator():
    nb = new_notebook(cells=[answer_cell("@old\ndef f(): 1\n\n\ndef g(): 2", "a")])
    answers = gates.Answers.parse("import new\n\n@new.jit\ndef f(): 3\n")
    source = gates.answered(nb, answers).cells[0].source
    assert source == "import new\n\n@new.jit\ndef f(): 3\n\n\ndef g(): 2"


PATCHED = """
\"\"\"Adds the wrong way.\"\"\"
LOSES = ["t"]
PATCHES = {"f": {"x + 1": "x - 1", "    y = x": "    y = 2 * x"}}
"""


def test_a_patch_changes_the_solution_s_own_text():
    marked = (
        "def f(x):\n    ### BEGIN SOLUTION\n    y = x\n    return y * (x + 1)\n"
        "    ### END SOLUTION\n\n\ndef g(x):\n    return x + 1"
    )
    nb = new_notebook(cells=[answer_cell(marked, "a")])
    answers = gates.Answers.parse(PATCHED.lstrip())
    assert answers.docstring == "Adds the wrong way." and answers.loses == {"t"}
    source = gates.answered(nb, answers).cells[0].source
    assert source.strip() == marked.replace("y = x", "y = 2 * x").replace(
        "(x + 1)", "(x - 1)"
    )


@pytest.mark.parametrize(
    ("patches", "said"),
    [
        ({"f": {"x": "y"}}, "'x' is there 2 times"),
        ({"f": {"z": "y"}}, "'z' is there 0 times"),
        ({"f": {"3": "3"}}, "becomes '3'"),
        ({"h": {"3": "4"}}, r"no function \['h'\] to patch"),
    ],
)
def test_a_patch_that_does_not_fit_the_solution_is_an_error(patches, said):
    nb = new_notebook(cells=[answer_cell("def f(x): 3 * x", "a")])
    with pytest.raises(ValueError, match=said):
        gates.answered(nb, gates.Answers.parse(f"PATCHES = {patches}"))


def test_answers_that_replace_nothing_are_an_error():
    nb = new_notebook(cells=[answer_cell("def f(): 3", "a")])
    with pytest.raises(ValueError, match="no function of the notebook"):
        gates.answered(nb, gates.Answers.parse("def other(): 3"))
