"""What counts as an answer, where an editor or a habit made several cells of it.

    code     the last version of each function; its pieces put together; else wherever
             in the notebook the function is defined
    words    all that stands in the answer's cells, else what stands at their place

A note says what was done: the student reads it on top of the feedback, and the
instructor on top of the notebook. All that is chosen here is the student's own text.

Read in order: `mended`, `code_answer`, `written_answer`.
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from nbformat import NotebookNode

from course.grader.judging.conflicts import sides
from course.grader.judging.parsing import MAX_SOURCE, Cell
from course.grader.judging.pictures import Attached
from course.grader.judging.places import FRONT, Placed, grade_id
from course.grader.judging.source import (
    definitions,
    functions,
    joined,
    tree,
)

ELSEWHERE = "# answered in another cell"


@dataclass
class Answer:
    """What an answer's cell of ours becomes, and the cells that run around it."""

    source: str
    text: str  # what a judge reads as the answer, wherever it stands
    before: list[Cell] = field(default_factory=list)
    behind: list[Cell] = field(default_factory=list)
    attachments: Attached = field(default_factory=dict)


# ------------------------------------------------------------------ code


def code_answer(
    place: int, ours: NotebookNode, placed: Placed, notes: list[str]
) -> Answer:
    """The answer to a cell of ours with code; the stub where there is none."""
    name, wanted = grade_id(ours), functions(ours.source)
    found = placed.answers.get(place, [])
    written = [cell for cell in found if not says_nothing(cell, ours.source)]
    missing = {*wanted} - {f for cell in written for f in cell.defines}
    if missing and (answer := _elsewhere(place, written, missing, placed)):
        notes.append(f"the answer {name} was in another cell than its own: it counts")
        return answer
    if not found:
        notes.append(f"the answer {name} is missing")
    if not written:
        return Answer(ours.source, ours.source)
    return _versions(written, wanted, f"the answer {name} was there", notes)


def _elsewhere(
    place: int, written: list[Cell], missing: set[str], placed: Placed
) -> Answer | None:
    """The answer with functions that other cells define; None where none does.

    What would run too late there runs here as well.
    """
    own, late = [cell.source for cell in written], list[str]()
    homes = list[str]()
    for function in sorted(missing):
        for where, cell in reversed(placed.others(place)):
            if function in cell.defines:
                homes.append(definitions(cell.source, function))
                late += homes[-1:] if where > place else []
                break
    source = joined([*own, *dict.fromkeys(late)])
    text = joined([*own, *dict.fromkeys(homes)])
    if not homes or text is None or source is None:
        return None
    return Answer(source or ELSEWHERE, text)


def _versions(
    written: list[Cell], wanted: list[str], said: str, notes: list[str]
) -> Answer:
    """The last version of each function with what belongs to it; the others run too."""
    last = {f: n for n, cell in enumerate(written) for f in cell.defines if f in wanted}
    kept = {*last.values()} or {len(written) - 1}
    pieces = [
        number
        for number, cell in enumerate(written)
        if number in kept or not (cell.defines & last.keys() or cell.facts.idle)
    ]
    whole = joined(written[number].source for number in pieces)
    if whole is None:
        pieces = [max(kept)]
        whole = written[pieces[0]].source
    if len(written) > len(pieces):
        notes.append(f"{said} {len(written)} times: the last counts")
    if len(pieces) > 1:
        notes.append(f"{said} in {len(pieces)} cells: they were joined")
    rest = [n for n in range(len(written)) if n not in pieces]
    before = [written[n] for n in rest if n < pieces[-1]]
    return Answer(whole, whole, before, [written[n] for n in rest if n > pieces[-1]])


def says_nothing(cell: Cell, stub: str) -> bool:
    """Whether a cell is still the stub, but for comments and blank lines, or empty."""
    if cell.facts.empty or cell.source.strip() == stub.strip():
        return True
    code, empty = tree(cell.source), tree(stub)
    return code is not None and empty is not None and ast.dump(code) == ast.dump(empty)


# ------------------------------------------------------------------ words


def written_answer(
    place: int, release: NotebookNode, placed: Placed, notes: list[str]
) -> Answer:
    """The answer in words to a cell of ours, where a person reads it.

    Where nothing stands in the cell itself, it is what the student wrote between the
    graded cell before it and the next cell of ours; that leaves its own place. A cell
    that is gone could be anywhere: then all of their own words are shown.
    """
    ours = release.cells[place]
    name, stub = grade_id(ours), ours.source.strip()
    found = placed.answers.get(place, [])
    parts = [cell for cell in found if cell.source.strip() not in ("", stub)]
    if len(parts) > 1:
        notes.append(f"the answer {name} was there in {len(parts)} cells: joined")
    if not parts:
        anywhere = [*placed.words]
        parts = _nearby(place, release, placed)
        if parts:
            notes.append(
                f"the answer {name} was not in its own cell: what stands there now was "
                "found beside it. Please look whether it is the answer"
            )
        elif not found and anywhere:
            parts = anywhere
            notes.append(
                f"the answer {name} was not in its own cell, nor beside it: all words "
                "in other cells stand there now. Please look for the answer in them"
            )
        elif not found:
            notes.append(f"the answer {name} is missing")
    said = "\n\n".join(cell.source for cell in parts)
    text = said[:MAX_SOURCE] if parts else ours.source
    pictures = {name: it for cell in parts for name, it in cell.attachments.items()}
    return Answer(text, text, attachments=pictures)


def _nearby(place: int, release: NotebookNode, placed: Placed) -> list[Cell]:
    """Take the cells of words of their own around a written answer."""
    named = [i for i in range(place) if grade_id(release.cells[i])]
    words: list[Cell] = []
    for spot in range(max(named, default=FRONT), place + 1):
        cells = placed.extras.get(spot, [])
        words += [cell for cell in cells if cell.prose]
        placed.extras[spot] = [cell for cell in cells if not cell.prose]
    return words


# ------------------------------------------------------------------ before all


def mended(theirs: Iterable[Cell], notes: list[str]) -> list[Cell]:
    """Their cells without git's conflicts, and whole where an editor cut one in two."""
    cells: list[Cell] = []
    for cell in theirs:
        cell = one_side(cell, notes)
        whole = _healed(cells[-1], cell) if cells else None
        if whole is None:
            cells.append(cell)
        else:
            notes.append("a cell was cut in two, inside of a function: joined")
            cells[-1] = replace(cells[-1], source=whole)
    return cells


def _healed(one: Cell, other: Cell) -> str | None:
    """The function of which two cells hold the halves; None where they don't."""
    if not one.kind == other.kind == "code":
        return None
    if other.grade_id not in (None, one.grade_id):
        return None
    if not (one.facts.cut or other.facts.cut):
        return None
    return joined([one.source, other.source])


def one_side(cell: Cell, notes: list[str]) -> Cell:
    """A cell of code without git's marks: the first side of a conflict that is Python.

    Words stay as they are: a person reads both sides.
    """
    versions = sides(cell.source) if cell.kind == "code" else []
    if not versions:
        return cell
    chosen = next((side for side in versions if tree(side) is not None), versions[0])
    notes.append(
        "git's conflict was left in a cell: the side "
        f"{'above' if chosen == versions[0] else 'below'} ======= counts"
    )
    return replace(cell, source=chosen)
