"""`own_work` finds what a homework withholds, however it came in, and nothing else."""

import ast
import importlib
import math
import types
from pathlib import Path

import pytest

from lib.exercises.own_work import WITHHELD, is_within, own_work

ROOT = Path(__file__).parents[2]

lib = importlib.import_module("lib")
formats = types.ModuleType("lib.formats")
encode = types.FunctionType((lambda x: x).__code__, {}, "encode")
encode.__module__ = "lib.formats.floating"


def honest(x):
    """Say lib.formats in words, and use what is free to use."""
    return math.floor(x) + 1


def imports_inside(x):
    from lib.formats import encode

    return encode(x)


def imports_package(x):
    from lib import formats

    return formats.encode(x)


def imports_by_string(x):
    return importlib.import_module("lib.formats").encode(x)


def borrows_function(x):
    return encode(x)


def borrows_module(x):
    return formats.encode(x)


def borrows_through_package(x):
    return lib.formats.encode(x)


def calls_a_borrower(x):
    return [borrows_function(y) for y in x]


def in_a_comprehension(x):
    return [(lambda z: encode(z))(y) for y in x]


def test_a_kernel_is_read_as_the_function_it_was_made_of():
    kernel = types.SimpleNamespace(fn=borrows_module, __name__="kernel")
    with pytest.raises(AssertionError, match=r"uses lib\.formats"):
        own_work("hw_formats", kernel)


def test_honest_work_passes():
    own_work("hw_formats", honest)


def test_what_is_no_function_is_let_through():
    own_work("hw_formats", object(), len)


@pytest.mark.parametrize(
    "function",
    [
        imports_inside,
        imports_package,
        imports_by_string,
        borrows_function,
        borrows_module,
        borrows_through_package,
        calls_a_borrower,
        in_a_comprehension,
    ],
)
def test_borrowed_work_is_named_kindly(function):
    with pytest.raises(AssertionError, match=r"uses lib\.formats.*put yours"):
        own_work("hw_formats", function)
    own_work("hw_linear", function)  # which does not withhold it


def test_an_unknown_homework_is_an_error():
    with pytest.raises(ValueError, match=r"no homework 'hw_x'; known: hw_.*hw_formats"):
        own_work("hw_x")


def imports_of(path):
    """What a file of lib imports from lib, by dotted names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("homework", WITHHELD)
def test_what_leans_on_what_is_withheld_is_withheld_too(homework):
    """Else the student's own check lets through what fails in the grader's box."""

    def withheld(name):
        return any(is_within(name, package) for package in WITHHELD[homework])

    rooms = ("formats", "kernels", "layers", "models", "prune", "quant")
    paths = [path for room in rooms for path in (ROOT / "lib" / room).rglob("*.py")]
    assert len(paths) > 80
    for path in paths:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        if not withheld(name):
            assert not [used for used in imports_of(path) if withheld(used)], name
