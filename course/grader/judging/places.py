"""Which of a student's cells is which of ours, whatever their editor did to it.

    by grade_id, else by cell id, else word for word, else by the function it defines

Names do not last: some editors and merges drop grade_ids, others number ids anew. What
is none of ours is theirs alone, an *extra*, and keeps its place behind the cell of ours
that it followed.

Read in order: `Placed`, `place`, `Release.place_of`.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field, replace

from nbformat import NotebookNode

from course.grader.judging.parsing import Cell
from course.grader.judging.source import functions

FRONT = -1  # before all cells of ours


def grade_id(cell: NotebookNode) -> str | None:
    """The name that nbgrader knows a cell of ours by."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def is_answer(cell: NotebookNode) -> bool:
    """Whether a cell of ours is the student's to fill in."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def is_test(cell: NotebookNode) -> bool:
    """Whether a cell of ours gives points and is no answer."""
    return bool(cell.metadata.get("nbgrader", {}).get("grade")) and not is_answer(cell)


@dataclass
class Placed:
    """Their cells; a place is the index of a cell of ours."""

    answers: dict[int, list[Cell]] = field(default_factory=dict)  # in their order
    extras: dict[int, list[Cell]] = field(default_factory=dict)  # behind that cell
    tests: list[Cell] = field(default_factory=list)  # that they wrote something into

    words: list[Cell] = field(default_factory=list)  # their extras that are no code

    def others(self, place: int) -> list[tuple[int, Cell]]:
        """All of their cells but one answer's, with their places; likely homes last."""
        tests = [(sys.maxsize, cell) for cell in self.tests]
        answers = [(i, c) for i, x in self.answers.items() if i != place for c in x]
        return [*tests, *answers, *((i, c) for i, x in self.extras.items() for c in x)]


def place(release: NotebookNode, theirs: list[Cell]) -> Placed:
    """Sort their cells into answers, extras, and tests of ours that they changed.

    Copies of cells of ours are dropped: those come from the release.
    """
    ours, placed, last = Release(release, theirs), Placed(), FRONT
    for cell in theirs:
        here = ours.place_of(cell)
        if here is not None:
            last = here
            original = release.cells[here]
            if is_answer(original):
                placed.answers.setdefault(here, []).append(cell)
                continue
            if is_test(original):
                if cell.source.strip() != original.source.strip():
                    placed.tests.append(rest(cell, original))
                continue
            if cell.kind != "code":
                cell = rest(cell, original)
        if cell.source.strip() and cell.source.strip() not in ours.known:
            placed.extras.setdefault(last, []).append(cell)
            if cell.prose:
                placed.words.append(cell)
    return placed


def rest(cell: Cell, original: NotebookNode) -> Cell:
    """What stands in a cell of theirs beside our text, all of it where ours changed."""
    source = cell.source.replace(original.source.strip(), "", 1).strip()
    return replace(cell, source=source)


class Release:
    """Where each name, text and function of our release is, for a student's cells."""

    def __init__(self, release: NotebookNode, theirs: list[Cell]) -> None:
        self.cells = release.cells
        texts = [cell.source.strip() for cell in release.cells]
        once = Counter(texts)
        self.known = set(texts)
        self.grade_ids = {grade_id(c): i for i, c in enumerate(self.cells)}
        self.ids = {cell.get("id"): i for i, cell in enumerate(self.cells)}
        self.texts = {text: i for i, text in enumerate(texts) if once[text] == 1}
        uses = Counter(cell.cell_id for cell in theirs)
        self.ids = {name: i for name, i in self.ids.items() if uses[name] == 1}
        named = {self.by_name(cell) for cell in theirs}
        self.wanted = {  # functions whose answer's cell lost its name
            function: i
            for i, cell in enumerate(self.cells)
            if i not in named and is_answer(cell) and cell.cell_type == "code"
            for function in functions(cell.source)
        }

    def by_name(self, cell: Cell) -> int | None:
        """The place that a cell of theirs claims by a name."""
        if cell.grade_id is not None and cell.grade_id in self.grade_ids:
            return self.grade_ids[cell.grade_id]
        return None if cell.cell_id is None else self.ids.get(cell.cell_id)

    def place_of(self, cell: Cell) -> int | None:
        """The place of a cell of theirs; None for a cell of their own."""
        here = self.by_name(cell)
        if here is None:
            here = self.texts.get(cell.source.strip())
        if here is None and self.wanted:
            here = next((i for f, i in self.wanted.items() if f in cell.defines), None)
        return here
