"""From the cells that a student handed in to our own notebook with their answers in it.

    cells → answers by grade_id, other cells as plain cells → rebuilt

The notebook that goes on is made from our release: its cells, their order, their
metadata, its tests. Of the student's file only sources are read (parsing.py), so that
nothing else in it (metadata, outputs, test cells, ids) can reach the grader. An honest
but odd file loses nothing.

Read in order: `rebuild`, `Intake`, `functions`.
"""

import ast
import copy
from collections.abc import Iterable
from dataclasses import dataclass, field

from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_code_cell, new_markdown_cell

from course.grader.judging.parsing import Cell
from course.grader.judging.pictures import Attached


@dataclass
class Intake:
    """Our notebook with a student's answers, and what was odd about theirs."""

    notebook: NotebookNode
    notes: list[str] = field(default_factory=list)


def is_answer(cell: NotebookNode) -> bool:
    """Whether a cell of ours is the student's to fill in."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def grade_id(cell: NotebookNode) -> str | None:
    """The name that nbgrader knows a cell of ours by."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def rebuild(release: NotebookNode, theirs: list[Cell]) -> Intake:
    """Our release with their answers by grade_id, and their own cells as plain cells.

    An own cell goes behind the cell of ours that it followed in theirs. Of a cell that
    was copied, the last version that differs from the stub is the answer, and the
    others run before it as plain cells.
    """
    ours = {grade_id(cell): cell for cell in release.cells if grade_id(cell)}
    ids = {cell.get("id"): grade_id(cell) for cell in release.cells}
    placed = _place(theirs, ours, ids, {cell.source.strip() for cell in release.cells})
    intake = Intake(copy.deepcopy(release))
    rebuilt: list[NotebookNode] = [*_plain(placed.extras.pop(None, []))]
    for cell in intake.notebook.cells:
        name = grade_id(cell)
        if name and is_answer(cell):
            *earlier, answer = placed.versions(name, cell.source, intake.notes)
            rebuilt += _plain(Cell("code", text, None, None) for text in earlier)
            cell.source = answer
            _attach(cell, placed.attachments.get(name, {}))
        rebuilt.append(cell)
        rebuilt += _plain(placed.extras.pop(name or cell.get("id"), []))
    for number, cell in enumerate(rebuilt):
        cell.outputs = [] if cell.cell_type == "code" else cell.pop("outputs", None)
        if cell.cell_type != "code":
            cell.pop("outputs")
        cell.id = f"cell-{number}"
    intake.notebook.cells = rebuilt
    return intake


@dataclass
class _Placed:
    """Their cells, each where it belongs."""

    answers: dict[str, list[str]]  # grade_id → the versions found, in order
    extras: dict[str | None, list[Cell]]  # behind which cell of ours
    attachments: dict[str, Attached] = field(default_factory=dict)  # of answers

    def versions(self, name: str, stub: str, notes: list[str]) -> list[str]:
        """Earlier versions of an answer, and the one that counts: never none."""
        found = self.answers.get(name, [])
        if not found:
            notes.append(f"the answer {name} is missing")
        written = [text for text in found if text.strip() != stub.strip()]
        if len(written) > 1:
            notes.append(
                f"the answer {name} was there {len(found)} times: the last counts"
            )
        return written or [stub]


def _place(
    theirs: list[Cell],
    ours: dict[str | None, NotebookNode],
    ids: dict[str | None, str | None],
    known: set[str],
) -> _Placed:
    """Sort their cells into answers and extras; drop their copies of cells of ours."""
    placed = _Placed({}, {})
    named = {cell.grade_id for cell in theirs}
    wanted = {  # functions whose answer cell lost its name
        function: name
        for name, cell in ours.items()
        if name not in named and is_answer(cell)
        for function in functions(cell.source)
    }
    last: str | None = None
    for cell in theirs:
        name = cell.grade_id if cell.grade_id in ours else ids.get(cell.cell_id)
        if name is None and cell.kind == "code":
            name = next(
                (wanted[f] for f in functions(cell.source) if f in wanted), None
            )
        if name is not None:
            last = name
            if is_answer(ours[name]):
                placed.answers.setdefault(name, []).append(cell.source)
                placed.attachments.setdefault(name, {}).update(cell.attachments)
        elif cell.cell_id in ids:
            last = cell.cell_id
            if cell.source.strip() not in known:  # a plain cell of ours, changed
                placed.extras.setdefault(last, []).append(cell)
        elif cell.source.strip() and cell.source.strip() not in known:
            placed.extras.setdefault(last, []).append(cell)
    return placed


def functions(source: str) -> list[str]:
    """The names of the functions that a cell defines at its top level."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [node.name for node in body if isinstance(node, ast.FunctionDef)]


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
