"""Feedback as one page that needs nothing: no network, no script, mathematics included.

    graded notebook + scores and comments → HTML

Each test shows its points and, where some were lost, the test's own message; never its
code. TeX is MathML, which browsers draw by themselves. What a student wrote is escaped
text, or Markdown that is harmless already (pages/); and the page's own policy lets a
browser run nothing and fetch nothing, whatever slipped through.

Read in order: `feedback`, `show`, `output`.
"""

import html
from collections.abc import Iterator

from nbformat import NotebookNode
from nbgrader import utils

from course.grader.pages.renderer import Piece, Renderer
from course.grader.pages.shown import as_written

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52em; margin: 2em auto;
       padding: 0 1em; color: #222 }
pre { background: #f6f6f6; padding: .6em; overflow-x: auto; font-size: 13px;
      white-space: pre-wrap }
table { border-collapse: collapse } td, th { padding: .2em .8em; text-align: left }
.points td + td { text-align: right } img { max-width: 100% }
.test { border-left: 5px solid #009e73; padding: .3em 1em; margin: 1em 0 }
.lost { border-color: #d55e00 } .wait { border-color: #8a8a8a }
.comment { background: #fff6dd; padding: .5em 1em }
blockquote { border-left: 3px solid #ccc; margin-left: 0; padding-left: 1em }
"""


def feedback(
    nb: NotebookNode,
    scores: dict[str, dict],
    renderer: Renderer,
    *,
    title: str,
    penalty: float = 0.0,
) -> str:
    """The page for a student: `scores` is {grade_id: score, max, comment, manual}.

    `penalty` is what lateness costs.
    """
    ours = [cell.source for cell in nb.cells if is_plain_markdown(cell)]
    ours += [row["comment"] for row in scores.values() if row.get("comment")]
    pieces = [Piece("markdown", text) for text in dict.fromkeys(ours)]
    drawn = {
        piece.source: as_written(piece) if found is None else found
        for piece, found in zip(pieces, renderer.render(pieces), strict=True)
    }
    parts = (part for cell in nb.cells for part in show(cell, scores, drawn))
    sections = "\n".join(parts)
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{points(row)}</td></tr>"
        for name, row in scores.items()
        if "max" in row
    )
    counted = [row for row in scores.values() if "max" in row]
    total = max(sum(row["score"] or 0 for row in counted) - penalty, 0.0)
    most = sum(row["max"] for row in counted)
    late = f"<p>It came late, which costs {penalty:g} points.</p>\n" if penalty else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>{html.escape(title)}: {total:g} of {most:g}</h1>\n"
        '<table class="points"><tr><th>exercise</th><th>points</th></tr>'
        f"{rows}</table>\n{late}"
        f"{sections}\n</body></html>\n"
    )


def points(row: dict) -> str:
    """What an exercise got, or that a person has still to read it."""
    if row["score"] is None or (row["manual"] and row["auto"] is None):
        return f"to be read, of {row['max']:g}"
    return f"{row['score']:g} of {row['max']:g}"


def is_plain_markdown(cell: NotebookNode) -> bool:
    """Whether a cell's Markdown is still to be rendered: it is ours."""
    return cell.cell_type == "markdown" and not cell.metadata.get("harmless")


def show(
    cell: NotebookNode, scores: dict[str, dict], drawn: dict[str, str]
) -> Iterator[str]:
    """The parts of the page that one cell makes; `drawn` is the HTML of Markdown."""
    row = scores.get(cell.metadata.get("nbgrader", {}).get("grade_id"), {})
    if cell.cell_type == "markdown":
        yield drawn[cell.source] if is_plain_markdown(cell) else cell.source
        if utils.is_grade(cell):
            yield f'<div class="test wait">{points(row)} points</div>'
    elif cell.cell_type == "code" and utils.is_grade(cell):
        lost = row["score"] is not None and row["score"] < row["max"]
        name = html.escape(cell.metadata.nbgrader.grade_id)
        shown = "".join(map(output, cell.outputs))
        kind = "test lost" if lost else "test"
        yield f'<div class="{kind}"><b>{name}</b>: {points(row)} points{shown}</div>'
    elif cell.cell_type == "code":
        yield f"<pre>{html.escape(cell.source)}</pre>"
        yield from map(output, cell.outputs)
    if row.get("comment"):
        yield f'<div class="comment">{drawn[row["comment"]]}</div>'


def output(node: NotebookNode) -> str:
    """An output as text, or as a picture."""
    match node.output_type:
        case "stream":
            return f"<pre>{html.escape(node.text)}</pre>"
        case "error":
            return f"<pre>{html.escape(f'{node.ename}: {node.evalue}')}</pre>"
        case "execute_result" if "image/png" not in node.data:
            return ""  # the number that nbgrader reads as partial credit
    if picture := node.data.get("image/png"):
        return f'<img alt="" src="data:image/png;base64,{html.escape(picture)}">'
    return f"<pre>{html.escape(node.data.get('text/plain', ''))}</pre>"
