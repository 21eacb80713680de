"""A cell's source as plain Python: what IPython accepts, with its magics made inert.

    %%time, %%timeit, %%capture …     the lines below them
    %time x = f(1)                    x = f(1)
    !pip …, %matplotlib …, f?         None, or [] where a value was asked for

Nothing is run here. What a magic would do is not wanted in a grader; what stands below
one is an answer like any other.

Read in order: `plain`, `Facts`, `definitions`, `joined`, `without`.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from IPython.core.inputtransformer2 import TransformerManager

from lib.exercises.own_work import is_within

MAX_READ = 20_000  # characters of a cell: no answer is longer
MAX_EFFORT = 20_000  # characters times magics: IPython reads all again for each magic
BLANK = r"[^\S\n]*"  # within a line: else a run of empty lines is read once for each
MAGIC = re.compile(rf"^{BLANK}[%!?,;/]|={BLANK}[%!]|\?{BLANK}$", re.MULTILINE)
CELL_MAGIC = re.compile(r"[^\S\n]*(%%(\w+)(?!.*\?).*)?\n")
FOREIGN = {  # what stands below these is no Python of the notebook's
    *("bash", "sh", "script", "cmd", "perl", "ruby", "system", "sx", "html", "HTML"),
    *("svg", "SVG", "javascript", "js", "latex", "markdown"),
}
FILES = {"writefile", "file"}  # the box writes these to its scratch folder
CALL = re.compile(r"get_ipython\(\)\.(run_line_magic|system|getoutput)(\(.*\))$")
DEFINING = (
    *(ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef),
    *(ast.Assign, ast.AnnAssign),
)


def plain(source: str) -> str:
    """`source` as plain Python; as it is where it is that already, or nobody's Python.

    What takes too long to read stays as it is, too.
    """
    if len(source) > MAX_READ or _parsed(source) is not None:
        return source
    return _without_magics(source)


def _without_magics(source: str) -> str:
    """`source` with every magic made inert; as it is where IPython cannot read it."""
    head, body = "", source if source.endswith("\n") else f"{source}\n"
    while body and (line := CELL_MAGIC.match(body)):
        if line[2] in FILES:
            return source
        if line[2] in FOREIGN:
            return "".join(f"# {line}\n" for line in source.splitlines())
        head += f"# {line[1]}\n" if line[1] else "\n"
        body = body[line.end() :]
    if _parsed(body):
        return head + body.rstrip("\n")
    if len(body) * (1 + len(MAGIC.findall(body))) > MAX_EFFORT:
        return source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lines = TransformerManager().transform_cell(body).split("\n")
    except Exception:  # on what is no Python it may raise any: IPython catches all, too
        return source
    return head + "\n".join(CALL.sub(_inert, line) for line in lines).rstrip("\n")


def _inert(call: re.Match[str]) -> str:
    """What stands in the place of a magic: the code that it would time, or nothing."""
    try:
        match call[1], ast.literal_eval(call[2]):
            case "getoutput", _:
                return "[]"
            case "run_line_magic", ("time" | "timeit", str(code)) if _parsed(code):
                return code
    except (
        ValueError,
        SyntaxError,
    ):  # it is the student's own call
        return call[0]
    return "None"


def _parsed(source: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an odd escape is nobody's news
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def tree(source: str) -> ast.Module | None:
    """The syntax tree of a cell; None where it is no Python, or longer than any."""
    if len(source) > MAX_READ:
        return None
    return _parsed(source) or _parsed(_without_magics(source))


@dataclass(frozen=True)
class Facts:
    """What is in a cell, from one reading of it."""

    defines: frozenset[str]  # the functions at its top level, lambdas with a name too
    empty: bool  # only comments
    python: bool
    cut: bool  # it may be half of a cell: no Python, or it returns from nothing
    idle: bool  # it defines nothing: it calls and prints, or is no Python

    @classmethod
    def of(cls, source: str) -> "Facts":
        """Read a cell."""
        code = tree(source)
        body = code.body if code else []
        return cls(
            defines=frozenset(name for node in body for name in _functions(node)),
            empty=code is not None and not body,
            python=code is not None,
            cut=code is None or any(isinstance(node, ast.Return) for node in body),
            idle=not any(isinstance(node, DEFINING) for node in body),
        )


def _functions(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name) | ast.Assign([ast.Name(name)], ast.Lambda()):
            yield name


def functions(source: str) -> list[str]:
    """The names of the functions that a cell defines at its top level, in order."""
    return [
        name for node in getattr(tree(source), "body", []) for name in _functions(node)
    ]


def definitions(source: str, function: str) -> str:
    """The lines of a cell that import, define or assign, as `function` may need them.

    What is computed with `function` itself is tried out, and left.
    """
    lines = plain(source).split("\n")
    kept: set[int] = set()
    for node in getattr(tree(source), "body", []):
        value = getattr(node, "value", None)
        names = (x.id for x in ast.walk(value or ast.Pass()) if isinstance(x, ast.Name))
        if isinstance(node, DEFINING) and function not in names:
            first = min(x.lineno for x in (node, *getattr(node, "decorator_list", [])))
            kept |= {*range(first, (node.end_lineno or first) + 1)}
    return "\n".join(lines[number - 1] for number in sorted(kept))


def joined(pieces: Iterable[str]) -> str | None:
    """Pieces of Python put together again; None where that makes no Python.

    An editor that splits a cell cuts at a line's end, or behind its indentation.
    """
    pieces = list(pieces)
    for glue in ("\n", ""):
        if not Facts.of(text := glue.join(pieces)).cut:
            return text
    return None


def without(source: str, withheld: Iterable[str]) -> tuple[str, list[str]]:
    """`source` less the imports of what is withheld at its top level, and what went.

    Such an import is often left over, and would end its cell. An import inside of a
    function stays, and fails: there it is used.
    """
    module, gone = tree(source), list[str]()
    if module is None or not any(name.split(".")[-1] in source for name in withheld):
        return source, gone
    text = plain(source).encode()
    starts = [0, *(place + 1 for place, byte in enumerate(text) if byte == 10)]
    for node in reversed(module.body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            kept = [
                alias
                for alias in node.names
                if not any(is_within(prefix + alias.name, name) for name in withheld)
            ]
            if len(kept) < len(node.names):
                gone.insert(0, ast.unparse(node))
                first = starts[node.lineno - 1] + node.col_offset
                last = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
                node.names = kept
                rest = ast.unparse(node) if kept else "pass"
                text = text[:first] + rest.encode() + text[last:]
    return text.decode(), gone
