"""Feedback as one page that needs nothing: no network, no script, mathematics included.

    graded notebook + scores and comments → HTML

Each test shows its points and, where some were lost, the test's own message; never its
code. TeX becomes MathML, which browsers draw by themselves. What a student wrote
reaches the page as escaped text, or as Markdown through bleach; and the page's own
policy lets a browser run nothing and fetch nothing, whatever slipped through.

Read in order: `feedback`, `show`, `markdown`, `harmless`.
"""

import html
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

import bleach
from latex2mathml.converter import convert
from nbconvert.filters import Highlight2HTML, markdown2html
from nbformat import NotebookNode
from nbgrader import utils

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
TAGS = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "em", "strong", "code", "pre", "hr"),
    *("ul", "ol", "li", "blockquote", "table", "thead", "tbody", "tr", "th", "td"),
    *("br", "del", "details", "summary", "a", "div", "span"),
}
MATHML = {
    *("math", "mrow", "mi", "mo", "mn", "mtext", "mspace", "msub", "msup", "msubsup"),
    *("mover", "munder", "munderover", "mfrac", "msqrt", "mroot", "mtable", "mtr"),
    *("mtd", "mstyle", "mpadded", "mphantom", "menclose"),
}
LOOKS = {
    *("display", "mathvariant", "stretchy", "fence", "form", "accent", "width"),
    *("movablelimits", "columnalign", "linethickness", "displaystyle", "scriptlevel"),
}
MAX_MARKDOWN, MAX_FORMULAS = 50_000, 500  # of one cell; more is no answer
MARK = "\ue000"  # a character that is nobody's: it holds a formula's place
MATH = re.compile(
    r"(?P<code>```.*?```|`[^`\n]+`)|\$\$(?P<block>.+?)\$\$|"
    r"(?<![\\\w$])\$(?P<inline>[^\s$](?:[^$\n]*[^\s$\\])?)\$(?!\d)",
    re.DOTALL,
)
highlight = lru_cache(1000)(Highlight2HTML(pygments_lexer="python"))


def feedback(nb: NotebookNode, scores: dict[str, dict], *, title: str) -> str:
    """The page for a student: `scores` is {grade_id: score, max, comment, manual}."""
    sections = "\n".join(section for cell in nb.cells for section in show(cell, scores))
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{points(row)}</td></tr>"
        for name, row in scores.items()
        if "max" in row
    )
    counted = [row for row in scores.values() if "max" in row]
    total = sum(row["score"] or 0 for row in counted)
    most = sum(row["max"] for row in counted)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>{html.escape(title)}: {total:g} of {most:g}</h1>\n"
        '<table class="points"><tr><th>exercise</th><th>points</th></tr>'
        f"{rows}</table>\n"
        f"{sections}\n</body></html>\n"
    )


def points(row: dict) -> str:
    """What an exercise got, or that a person has still to read it."""
    if row["score"] is None or (row["manual"] and row["auto"] is None):
        return f"to be read, of {row['max']:g}"
    return f"{row['score']:g} of {row['max']:g}"


def show(cell: NotebookNode, scores: dict[str, dict]) -> Iterator[str]:
    """The parts of the page that one cell makes."""
    row = scores.get(cell.metadata.get("nbgrader", {}).get("grade_id"), {})
    if cell.cell_type == "markdown":
        yield cell.source if cell.metadata.get("harmless") else markdown(cell.source)
        if utils.is_grade(cell):
            yield f'<div class="test wait">{points(row)} points</div>'
    elif cell.cell_type == "code" and utils.is_grade(cell):
        lost = row["score"] is not None and row["score"] < row["max"]
        name = html.escape(cell.metadata.nbgrader.grade_id)
        shown = "".join(map(output, cell.outputs))
        kind = "test lost" if lost else "test"
        yield f'<div class="{kind}"><b>{name}</b>: {points(row)} points{shown}</div>'
    elif cell.cell_type == "code":
        yield highlight(cell.source)
        yield from map(output, cell.outputs)
    if row.get("comment"):
        yield f'<div class="comment">{markdown(row["comment"])}</div>'


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


@lru_cache(1000)  # most of a class's text is ours, the same for everyone
def markdown(source: str) -> str:
    """Markdown and TeX as HTML that is only text: no script, style, picture or form."""
    if len(source) > MAX_MARKDOWN:
        return f"<pre>{html.escape(source)}</pre>"
    formulas: list[str] = []

    def keep(found: re.Match[str]) -> str:
        if found["code"] or len(formulas) == MAX_FORMULAS:
            return found[0]
        formulas.append(
            formula(found["block"] or found["inline"], bool(found["block"]))
        )
        return f"{MARK}{len(formulas) - 1}{MARK}"

    text = markdown2html(MATH.sub(keep, source.replace(MARK, "")))
    text = re.sub(r'<a class="anchor-link".*?</a>', "", text)
    clean = bleach.clean(text, tags=TAGS, attributes={"a": ["href"]}, strip=True)
    return re.sub(f"{MARK}(\\d+){MARK}", lambda found: formulas[int(found[1])], clean)


def harmless(nb: NotebookNode) -> NotebookNode:
    """`nb` with the student's Markdown as the HTML that it means, on one line a cell.

    nbgrader's formgrader puts Markdown into the instructor's page as it stands, script
    included; and MathJax, which is at work there, is to find no TeX in this.
    """
    for cell in nb.cells:
        if cell.cell_type == "markdown" and (
            cell.metadata.get("theirs") or utils.is_solution(cell)
        ):
            shown = markdown(cell.source).replace("\n", "&#10;")
            cell.source = f'<div class="tex2jax_ignore">{shown}</div>'
            cell.metadata["harmless"] = True
    return nb


def formula(tex: str, block: bool) -> str:
    """TeX as MathML; as it stands where it cannot be read."""
    escaped = tex.replace("<", r"\lt ").replace(">", r"\gt ")
    reader: Callable[..., str] = convert
    try:
        drawn = reader(escaped, display="block" if block else "inline")
    except Exception:  # it is a person's TeX: any slip may be in it
        return f"<code>{html.escape(tex)}</code>"
    return bleach.clean(drawn, tags=MATHML, attributes={"*": LOOKS}, strip=True)
