"""A public function's docstring says what it raises, and names what there is.

`raise X` in a function's own body is to be told by its docstring or by its class's: by
X's name, or by saying what is refused. A name in backticks exists in the module's code,
or is public in another module.
"""

import ast
import keyword
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from torch import nn

ROOT = Path(__file__).parents[1]
ROOMS = ("lib", "course/grader")
ERRORS = {"ValueError", "KeyError", "RuntimeError", "ImportError", "AssertionError"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SPOKEN_FOR = {"__init__", "__post_init__"}  # their class's docstring is theirs


@dataclass(frozen=True)
class Public:
    """A public function or method, with what speaks for it."""

    name: str
    node: ast.FunctionDef
    text: str


def publics(tree, prefix=""):
    """Every public function of a module, and every public method of its classes."""
    for node in tree.body:
        name = getattr(node, "name", "_")
        if name.startswith("_") and name not in SPOKEN_FOR:
            continue
        text = ast.get_docstring(node) or ""
        if isinstance(node, FUNCTIONS):
            above = ast.get_docstring(tree) if isinstance(tree, ast.ClassDef) else ""
            yield Public(prefix + name, node, f"{text}\n{above or ''}")
        elif isinstance(node, ast.ClassDef):
            yield from publics(node, f"{prefix}{name}.")


def own(node):
    """The nodes of a function's own body, without what is defined inside of it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            yield child
            yield from own(child)


def raised(node):
    """The errors of ERRORS that a function's own body raises by name."""
    raises = (step.exc for step in own(node) if isinstance(step, ast.Raise))
    named = (exc.func if isinstance(exc, ast.Call) else exc for exc in raises)
    return {name.id for name in named if isinstance(name, ast.Name)} & ERRORS


def untold(source):
    """(function, error) where the docstring says nothing of the error."""
    return {
        (public.name, error)
        for public in publics(ast.parse(source))
        for error in raised(public.node)
        if error not in public.text and not re.search(r"(?i)\brefuse", public.text)
    }


def quoted(text):
    """The plain names in backticks: `w`, but neither `w.T` nor `f(x)` nor `a b`."""
    return set(re.findall(r"(?<![`\w])`([A-Za-z_]\w*)`(?!`)", text))


def spoken(source):
    """Every word of a module's code: names, attributes, arguments, keys, files."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            if isinstance(word := getattr(node, field, None), str):
                found |= set(word.split("."))
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and "`" not in text:
            found |= set(re.findall(r"\w+", text))
    return found


def defined(tree):
    """The names that a module gives away, and the fields of its classes."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.name
            if isinstance(node, ast.ClassDef):
                yield from defined(node)


@cache
def modules():
    """The sources of lib and of the grader, by path."""
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert len(paths) > 100, "the modules are elsewhere"
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted(paths)}


def everything_public():
    """(path, function) of all modules."""
    for path, source in modules().items():
        yield from ((path, public) for public in publics(ast.parse(source)))


def test_what_is_raised_is_told():
    assert sum(len(raised(public.node)) for _, public in everything_public()) > 100
    found = {
        f"{path}: {name} {error}"
        for path, source in modules().items()
        for name, error in untold(source)
    }
    assert not found, "say in the docstring what is raised, and when"


def test_names_in_backticks_exist():
    away = {name for s in modules().values() for name in defined(ast.parse(s))}
    away |= {part for path in modules() for part in Path(path).with_suffix("").parts}
    away |= set(keyword.kwlist) | set(dir(nn.Module))
    here = {path: spoken(source) | away for path, source in modules().items()}
    named = [(at, f, n) for at, f in everything_public() for n in quoted(f.text)]
    assert len(named) > 100, "no docstring has a name in backticks"
    gone = [f"{at}: {f.name} `{n}`" for at, f, n in named if n not in here[at]]
    assert not gone


RAISES = "raise ValueError(1)"
RULES = [  # source, what is untold
    (f"def f():\n 'It.'\n {RAISES}", {("f", "ValueError")}),
    (f"def f():\n {RAISES} from None", {("f", "ValueError")}),
    ("def f():\n 'It.'\n if f:\n  raise KeyError", {("f", "KeyError")}),
    (f"def f():\n 'It; ValueError for all.'\n {RAISES}", set()),
    (f"def f():\n 'Refuse it.'\n {RAISES}", set()),
    (f"def _f():\n {RAISES}", set()),
    (f"def f():\n 'It.'\n def g():\n  {RAISES}\n g()", set()),
    ("def f():\n 'It.'\n try:\n  g()\n except E:\n  raise", set()),
    (f"class A:\n 'A.'\n def f(self):\n  {RAISES}", {("A.f", "ValueError")}),
    (f"class A:\n 'ValueError.'\n def __init__(self):\n  {RAISES}", set()),
    (f"class _A:\n def f(self):\n  {RAISES}", set()),
]


@pytest.mark.parametrize(("source", "expected"), RULES)
def test_what_counts_as_told(source, expected):
    assert untold(source) == expected


def test_what_counts_as_a_name_in_backticks():
    text = "`w` times `w.T`, `f(x)`, ``literal``, `two words`, `_hidden`"
    assert quoted(text) == {"w", "_hidden"}
    assert "old" not in spoken("def f(x):\n 'The name `old` is gone.'\n return x.y")
    assert {"f", "x", "y"} <= spoken("def f(x):\n return x.y")
