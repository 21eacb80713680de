"""The graded notebook as a person may open it: in nbgrader's formgrader, for instance.

    graded notebook ─ cut to a bearable size ─ Markdown → HTML, code → colours or none

The formgrader puts Markdown into the instructor's page as it stands, script included;
MathJax is at work there; and a notebook is rendered in the instructor's server, where
nothing bounds it. So whatever is slow or raises is rendered here, in a child, and what
is stored is harmless: HTML on one line, and code under the name of a lexer that ends.

Read in order: `harmless`, `cut`, `as_written`.
"""

import base64
import copy
import html

from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader import utils

from course.grader.judging.pictures import KINDS, size
from course.grader.pages.renderer import Piece, Renderer
from course.grader.words import MAX_TEXT, clean

MAX_WRITTEN = 2_000_000  # characters of all cells of a notebook
MAX_PRINTED = 16_000_000  # characters of all that they printed, pictures included
ESCAPED = 40  # characters that one of <>& costs: the formgrader parses each by itself
MAX_FORMULAS = 200  # outputs in TeX
MAX_PICTURES, MAX_PIXELS = 16_000_000, 100_000_000  # characters of base64; all of them
TOO_MUCH = "(not shown: this notebook shows more than anybody could read)"


def harmless(nb: NotebookNode, renderer: Renderer) -> NotebookNode:
    """A copy of `nb` that can be shown; what the limits forbid is there as written."""
    nb = cut(copy.deepcopy(nb))
    written = [cell for cell in nb.cells if is_theirs(cell)]
    pieces = [piece_of(cell) for cell in written]
    for cell, piece, drawn in zip(
        written, pieces, renderer.render(pieces), strict=True
    ):
        if piece.kind == "code":  # nbconvert colours it once more, if it is bearable
            cell.metadata["magics_language"] = "text" if drawn is None else "python"
            continue
        text = as_written(piece) if drawn is None else drawn
        # A line break would end the HTML for Markdown's parser, and nbconvert looks for
        # links to files/ behind every bracket, to the end
        for character, entity in (("\r", ""), ("\n", "&#10;"), ("[", "&#91;")):
            text = text.replace(character, entity)
        cell.source = f'<div class="tex2jax_ignore">{text}</div>'
        cell.metadata["harmless"] = True
        cell.pop("attachments", None)
    # For nbconvert a cell has a lexer of its own where the notebook's is IPython's
    nb.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    for cell in nb.cells:
        cell.metadata.setdefault("magics_language", "python")
    return nb


def is_theirs(cell: NotebookNode) -> bool:
    """Whether a student wrote what is in a cell."""
    return bool(cell.metadata.get("theirs")) or utils.is_solution(cell)


def piece_of(cell: NotebookNode) -> Piece:
    """What is to be rendered of a cell of theirs."""
    if cell.cell_type == "code":
        return Piece("code", cell.source)
    pictures = {
        name: f"data:{kind};base64,{picture}"
        for name, bundle in cell.get("attachments", {}).items()
        for kind, picture in bundle.items()
    }
    return Piece("markdown", cell.source, pictures)


def as_written(piece: Piece) -> str:
    """A piece as escaped text, its pictures below."""
    pictures = (f'<img alt="" src="{html.escape(x)}">' for x in piece.pictures.values())
    return f"<pre>{html.escape(piece.source)}</pre>{''.join(pictures)}"


# ------------------------------------------------------------------ how much of it


def cut(nb: NotebookNode) -> NotebookNode:
    """`nb` without what is more than a page can bear, which is said in its place."""
    written, printed, room = MAX_WRITTEN, MAX_PRINTED, Room()
    for cell in nb.cells:
        if is_theirs(cell):
            cell.source = clean(cell.source, min(MAX_TEXT, max(written, 0)))
            written -= weight(cell.source)
            for name, bundle in [*cell.get("attachments", {}).items()]:
                if not room.takes(bundle):
                    del cell.attachments[name]
        if cell.cell_type == "code" and (is_theirs(cell) or not utils.is_grade(cell)):
            cell.outputs = [x for x in cell.outputs if room.takes(x.get("data", {}))]
            printed -= sum(weight(str(output)) for output in cell.outputs)
            if printed < 0:
                cell.outputs = [new_output("stream", text=TOO_MUCH)]
    return nb


def weight(text: str) -> int:
    """Characters; what a page has to escape costs its reader far more than a letter."""
    return len(text) + ESCAPED * sum(map(text.count, "<>&"))


class Room:
    """What is left of a page for pictures and formulas."""

    def __init__(self) -> None:
        self.characters, self.pixels = MAX_PICTURES, MAX_PIXELS
        self.formulas = MAX_FORMULAS

    def takes(self, bundle: dict) -> bool:
        """Whether the picture or formula of a bundle still has its place."""
        self.formulas -= "text/latex" in bundle
        for kind in KINDS:
            if kind in bundle:
                width, height = size(kind, base64.b64decode(bundle[kind]))
                self.characters -= len(bundle[kind])
                self.pixels -= width * height
        return min(self.characters, self.pixels, self.formulas) >= 0
