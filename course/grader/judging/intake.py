"""From the cells that a student handed in to our own notebook with their answers in it.

    cells → each at its place (places.py) → what counts (answers.py) → rebuilt

The notebook that goes on is made from our release: its cells, their order, their
metadata, its tests. Of the student's file only sources are read (parsing.py), so that
nothing else in it (metadata, outputs, test cells, ids) can reach the grader. An honest
but odd file loses nothing.

Read in order: `rebuild`, `Intake`.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field

from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_code_cell, new_markdown_cell

from course.grader.judging.answers import (
    Answer,
    code_answer,
    mended,
    written_answer,
)
from course.grader.judging.parsing import Cell
from course.grader.judging.pictures import Attached
from course.grader.judging.places import FRONT, grade_id, is_answer, place


@dataclass
class Intake:
    """Our notebook with a student's answers, and what was odd about theirs."""

    notebook: NotebookNode
    notes: list[str] = field(default_factory=list)
    texts: dict[str | None, str] = field(default_factory=dict)  # by grade_id, answers'


def rebuild(release: NotebookNode, theirs: list[Cell]) -> Intake:
    """Our release with their answers, and their own cells as plain cells.

    An own cell goes behind the cell of ours that it followed in theirs. Where an answer
    is not simply in its cell, a note says what counts.
    """
    intake = Intake(copy.deepcopy(release))
    placed = place(release, mended(theirs, intake.notes))
    answers = {
        here: code_answer(here, cell, placed, intake.notes)
        if cell.cell_type == "code"
        else written_answer(here, release, placed, intake.notes)
        for here, cell in enumerate(release.cells)
        if is_answer(cell)
    }
    rebuilt = [*_plain(placed.extras.get(FRONT, []))]
    for here, cell in enumerate(intake.notebook.cells):
        answer = answers.get(here, Answer(cell.source, cell.source))
        intake.texts[grade_id(cell)], cell.source = answer.text, answer.source
        _attach(cell, answer.attachments)
        rebuilt += [*_plain(answer.before), cell, *_plain(answer.behind)]
        rebuilt += _plain(placed.extras.get(here, []))
    for number, cell in enumerate(rebuilt):
        cell.outputs = [] if cell.cell_type == "code" else cell.pop("outputs", None)
        if cell.cell_type != "code":
            cell.pop("outputs")
        cell.id = f"cell-{number}"
    intake.notebook.cells = rebuilt
    return intake


def _plain(cells: Iterable[Cell]) -> list[NotebookNode]:
    """Cells marked as theirs and nothing else: to be run or read, never graded."""
    plain = []
    for cell in cells:
        make = new_code_cell if cell.kind == "code" else new_markdown_cell
        plain.append(make(cell.source, metadata={"theirs": True}))
        _attach(plain[-1], cell.attachments)
    return plain


def _attach(cell: NotebookNode, pictures: Attached) -> None:
    """Give a text the pictures that were pasted into it."""
    if pictures and cell.cell_type == "markdown":
        cell.attachments = from_dict(pictures)
