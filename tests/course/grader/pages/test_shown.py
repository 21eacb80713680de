"""A notebook that is shown stays bearable for whoever opens it."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course.grader.pages.shown import MAX_FORMULAS, cut


def theirs(make, source, **more):
    return make(source, metadata={"theirs": True}, **more)


@pytest.mark.parametrize("letter", "<>&")
def test_what_must_be_escaped_fills_a_page_sooner(letter):
    def printing(text):
        long = [new_output("stream", text=text * 100_000)]
        cells = [theirs(new_code_cell, "x", outputs=long) for _ in range(20)]
        nb = new_notebook(cells=cells)
        return sum("more than" in str(cell.outputs) for cell in cut(nb).cells)

    assert printing("x") == 0
    assert printing(letter) > 10


def test_words_of_angle_brackets_are_cut_too():
    cells = [theirs(new_markdown_cell, "<" * 90_000) for _ in range(10)]
    nb = new_notebook(cells=cells)
    assert sum(len(cell.source) for cell in cut(nb).cells) < 4 * 90_000


def test_a_page_has_so_many_formulas_and_no_more():
    outputs = [new_output("display_data", {"text/latex": "$x$"})] * (2 * MAX_FORMULAS)
    nb = new_notebook(cells=[theirs(new_code_cell, "x", outputs=outputs)])
    assert len(cut(nb).cells[0].outputs) == MAX_FORMULAS
