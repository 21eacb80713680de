"""A cell that was read, rebuilt: the text of its tree runs, and never its own.

    text = unparse(tree)        a statement keeps its line, so that errors find it

Annotations, docstrings and imports say nothing to a kernel: they are left out. What is
left runs in a namespace that has what a cell may use, and no more.

Read in order: `plain`, `rebuilt`, `run`.
"""

import ast
import builtins
import hashlib
import importlib
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

CONSTANT = {"tl.constexpr", "'tl.constexpr'", "triton.language.constexpr"}


@dataclass(frozen=True)
class Cell:
    """A cell's functions, by name, and the text that was rebuilt of them."""

    functions: dict[str, ast.FunctionDef]
    text: str

    @property
    def kernels(self) -> set[str]:
        """The names of those with a decorator."""
        return {name for name, it in self.functions.items() if it.decorator_list}


def plain(tree: ast.Module) -> ast.Module:
    """The tree without what says nothing to a kernel. It is changed in place."""
    return ast.fix_missing_locations(_Plain().visit(tree))


class _Plain(ast.NodeTransformer):
    """Leaves out annotations, but for constants, and strings that stand alone."""

    kernel = False  # whether this is one

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns, self.kernel = None, bool(node.decorator_list)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = self.constant(node.annotation)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        annotation = self.constant(node.annotation)
        if annotation and isinstance(node.target, ast.Name):
            node.annotation = annotation
            return self.generic_visit(node)
        plainly = ast.Assign([node.target], node.value)
        return self.generic_visit(ast.copy_location(plainly, node))

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Constant):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def constant(self, annotation: ast.expr | None) -> ast.expr | None:
        """`tl.constexpr`, where a kernel's annotation says that."""
        if self.kernel and annotation and ast.unparse(annotation) in CONSTANT:
            return ast.parse("tl.constexpr", mode="eval").body
        return None


def rebuilt(functions: dict[str, ast.FunctionDef]) -> Cell:
    """The cell of these functions; raises AssertionError where its text says else."""
    tree = ast.Module(list(functions.values()), [])
    short = ast.unparse(tree)
    lines: dict[int, int] = {}  # of a statement in `short`: the one that it had
    for old, new in zip(ast.walk(tree), ast.walk(ast.parse(short)), strict=False):
        if isinstance(new, ast.stmt) and isinstance(old, ast.stmt):
            lines |= {new.lineno: old.lineno, _first_line(new): _first_line(old)}
    text: list[str] = []
    for number, line in enumerate(short.split("\n"), 1):
        text += [""] * (lines.get(number, 0) - 1 - len(text)) + [line]
    cell = Cell(functions, "\n".join(text) + "\n")
    if ast.dump(ast.parse(cell.text)) != ast.dump(tree):
        raise AssertionError("this cell cannot be rebuilt from what was read of it")
    return cell


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min(it.lineno for it in [node, *decorators])


def run(cell: Cell, allowed: dict[str, Any], shown: Callable[..., None]) -> dict:
    """The cell's functions and kernels, by name, in a namespace of their own.

    `allowed` are the names that it may use, of `builtins`, `torch` and `triton`; it
    prints with `shown`.
    """
    triton = importlib.import_module("triton")
    filename = f"<cell {hashlib.sha256(cell.text.encode()).hexdigest()[:12]}>"
    lines = cell.text.splitlines(keepends=True)
    linecache.cache[filename] = (len(cell.text), None, lines, filename)
    namespace = {
        "__name__": "answer",
        "__builtins__": _only(builtins, allowed["builtins"]) | {"print": shown},
        "torch": SimpleNamespace(**_only(torch, allowed["torch"])),
        "triton": SimpleNamespace(**_only(triton, allowed["triton"] | {"jit"})),
        "tl": importlib.import_module("triton.language"),
    }
    exec(compile(cell.text, filename, "exec"), namespace)
    return {name: namespace[name] for name in cell.functions}


def _only(module: Any, names: frozenset[str]) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names}
