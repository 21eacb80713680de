"""A student reads, solves, checks and hands in; the instructor grades and looks."""

import re

import pytest
from pages import errors, forget_outputs

LECTURE = "notebooks/02_number_formats.ipynb"
HOMEWORK = "homework/hw_formats/hw_formats.ipynb"
WRONG = "def decode(code, exponent_bits, fraction_bits):\n    return float(code)"
RIGHT = """\
def decode(code, exponent_bits, fraction_bits):
    sign, magnitude = divmod(code, 2 ** (exponent_bits + fraction_bits))
    field, fraction = divmod(magnitude, 2**fraction_bits)
    bias = 2 ** (exponent_bits - 1) - 1
    steps = fraction + 2**fraction_bits * (field > 0)
    value = steps * 2.0 ** (max(field, 1) - bias - fraction_bits)
    return -value if sign else value"""


@pytest.fixture
def student(make, page):
    with make.serve("lab", page) as lab:
        yield lab


@pytest.fixture
def instructor(make, page):
    with make.serve("instructor", page) as lab:
        yield lab


def test_the_course_opens_on_its_map(student, page):
    student.open_map()
    page.locator(".jp-RenderedMarkdown a", has_text="Number formats").wait_for()
    assert not student.has_menu("Nbgrader"), "students have no Formgrader to break"
    database = student.root / "course" / "gradebook.db"
    assert not database.exists(), "it would hold every hidden test"


def test_lecture_02_runs_to_its_end(student):
    forget_outputs(student.root / LECTURE)
    cells = student.open(LECTURE).run_all(timeout_s=1200)
    assert not errors(cells), errors(cells)
    assert sum(bool(cell["outputs"]) for cell in cells) > len(cells) / 2


def test_a_wrong_answer_is_taught_and_a_right_one_passes(student):
    homework = student.open(HOMEWORK)
    assert "NotImplementedError" in homework.validate()
    homework.type_over("def decode(", WRONG)
    assert "E2M1 code 0010 is 1.0 (the bias is 1), not 2.0" in homework.validate()
    homework.type_over("def decode(", RIGHT)
    verdict = homework.validate()
    assert 'own_work("hw_formats", decode)' not in verdict, "exercise 1 is solved"
    assert 'own_work("hw_formats", number_line)' in verdict, "exercise 2 is not"


def test_what_is_handed_in_is_graded_and_the_formgrader_shows_it(
    make, instructor, page
):
    """Runs after the test above, whose answer it hands in."""
    assert "Handed in hw_formats as ada" in make(
        "submit", "STUDENT=ada", "HW=hw_formats"
    )
    graded = make("grade", "HW=hw_formats")
    points, most = re.search(r"^ada +hw_formats +(\d+) +(\d+)", graded, re.M).groups()
    assert points == "2", graded
    instructor.open_map()
    row = instructor.open_formgrader().submissions("hw_formats").row_of("ada")
    assert re.search(rf"\b{points} / {most}\b", row), row
