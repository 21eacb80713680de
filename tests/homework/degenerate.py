"""Answers that are right in nothing but their form, and what a homework gives for them.

    right answer ─ wrong(…) ─→ {"empty": …, "NaN": …, "one element": …, …}
    a test cell, with one of them for every input that a student cannot see → points

On the inputs of the visible part the answer is the solution's own, as if a student had
copied those numbers. The tests run here, over wrapped functions of the solution; what
SmolLM2 would take minutes to say is faked (`Trial`).

Read in order: `complaints`, `Cell`, `Function`, `Trial`; then wrong_answers.py.
"""

import ast
import contextlib
import copy
import fnmatch
import io
import math
import tomllib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import gates
import torch
from nbformat import NotebookNode
from wrong_answers import clobber, fingerprint, restore, wrong

from course.grader.judging import referee
from lib.exercises import trial, tuning
from lib.exercises.protocol import StudentFunction

HIDDEN, SHOWN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
CLOBBERED = "arguments set to zero, and the answer for those"


@dataclass(frozen=True)
class Kept:
    """Points that a degenerate answer keeps."""

    cell: str
    what: str  # "FUNCTION.FIELD KIND", as in free.toml
    points: float
    of: float

    def matches(self, pattern: str) -> bool:
        """Whether `pattern`, of free.toml, means this one."""
        return fnmatch.fnmatchcase(self.what, pattern)

    def __str__(self) -> str:
        return f"{self.cell}: {self.what} keeps {self.points:g} of {self.of:g}"


def complaints(name: str, only: str = "*") -> list[str]:
    """What a homework's cells give for degenerate answers; `only` is a glob of cells.

    Where a cell tests several functions, one of them degenerate must lose something,
    and all of them everything. What `free.toml` allows is left out, and told where it
    is not needed.
    """
    path = gates.HERE / name / "free.toml"
    free = tomllib.loads(path.read_text()) if path.exists() else {}
    quiet, faked = contextlib.redirect_stdout(io.StringIO()), Trial.installed()
    with quiet, faked, warnings.catch_warnings(action="ignore"):
        return [
            said
            for cell in cells(name)
            if fnmatch.fnmatchcase(cell.grade_id, only)
            for said in cell.complaints(free.get(cell.grade_id, {}))
        ]


def cells(name: str) -> Iterator["Cell"]:
    """A homework's test cells, each as the cells above it leave the two namespaces."""
    student: dict[str, Any] = {"__name__": "student"}
    tests: dict[str, Any] = {"__name__": "tests"}
    for cell in gates.read(name).cells:
        match gates.role(cell) if cell.cell_type == "code" else "written":
            case "written":
                continue
            case "test":
                yield Cell(cell, tests)
            case "answer":
                exec(compile(cell.source, "<answer>", "exec"), student)
                for function in gates.functions_of(cell):
                    right = student[function]
                    tests[function] = Function(function, right, cell.source)
            case _:
                for namespace in (student, tests):
                    exec(compile(cell.source, "<ours>", "exec"), namespace)


class Cell:
    """One test cell: run whole with right answers, then its rest with wrong ones."""

    def __init__(self, cell: NotebookNode, namespace: dict[str, Any]) -> None:
        self.grade_id = cell.metadata.nbgrader.grade_id
        self.points = float(cell.metadata.nbgrader.points)
        before, rest = cell.source.split(HIDDEN)
        hidden, after = rest.split(SHOWN)
        self.hidden, self.after = hidden, after
        self.functions = [namespace[name] for name in tested(before)]
        self.namespace = namespace
        for function in self.functions:
            function.begin()
        exec(before, namespace)
        self.state = dict(namespace)
        ended = self.run("", after)  # what is shown below the hidden part is visible
        assert ended == self.points or not after.strip(), f"{self.grade_id}: {ended}"
        for function in self.functions:
            function.seen_so_far()
        whole = self.run(hidden, after)
        assert whole == self.points, f"{self.grade_id}: the solution gets {whole}"

    def run(self, *parts: str) -> float:
        """The points for these parts of the cell, below the visible one."""
        try:
            body, last = referee.split("\n".join(parts))
            namespace = dict(self.state)
            exec(body, namespace)
            credit = eval(last, namespace) if last else None
        except Exception:
            return 0.0
        (output,) = referee.result(credit, self.points) or [None]
        if output is None:
            return self.points
        return float(output.get("data", {}).get("text/plain", 0))

    def complaints(self, free: dict[str, str]) -> Iterator[str]:
        """What keeps points and is not free, and what is free and keeps none."""
        kept = list(self.kept())
        yield from (str(k) for k in kept if not any(map(k.matches, free)))
        for what in free:
            if not any(k.matches(what) for k in kept):
                where = f"{self.grade_id}: free.toml allows {what!r}"
                yield f"{where}, and that keeps no points"

    def kept(self) -> Iterator[Kept]:
        """What keeps points: each function degenerate in turn, then all at once."""
        several = len(self.functions) > 1
        for function in self.functions:
            for kind in function.kinds():
                with function.answering(kind):
                    points = self.run(self.hidden, self.after)
                if points == self.points or (points and not several):
                    what = f"{function.__name__}{kind}"
                    yield Kept(self.grade_id, what, points, self.points)
        if several:
            shared = dict.fromkeys(
                kind.partition(" ")[2] for f in self.functions for kind in f.kinds()
            )
            for kind in shared:
                with contextlib.ExitStack() as stack:
                    for function in self.functions:
                        stack.enter_context(function.answering("* " + kind))
                    points = self.run(self.hidden, self.after)
                if points:
                    what = f"all functions {kind}"
                    yield Kept(self.grade_id, what, points, self.points)


def tested(source: str) -> list[str]:
    """The functions that a cell names in `own_work(homework, function, …)`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(ast.Name("own_work"), [_, *functions]):
                return [ast.unparse(function) for function in functions]
    raise AssertionError(f"no own_work in {source[:60]!r}")


class Function(StudentFunction):
    """A solution's function: right on what was seen, wrong in one way elsewhere."""

    def __init__(self, name: str, right: Callable, source: str) -> None:
        self.__name__, self.right, self.source = name, right, source
        self.known: dict[str, Any] = {}  # answers, by arguments
        self.launched: dict[str, tuple] = {}  # and what kernels did for them
        self.begin()

    def begin(self) -> None:
        """Forget what was seen."""
        self.asked: dict[str, tuple] = {}  # by any part
        self.visible: set[str] = set()
        self.kind = ""
        self.clobbered: list[tuple[tuple, tuple]] = []  # arguments, and what they were

    def seen_so_far(self) -> None:
        """What was asked until now stands before a student's eyes."""
        self.visible = set(self.asked)

    def isolated(self, source: str, name: str) -> Any:
        """What a judge brings along, run as it stands.

        Where it calls this function (`called` of lib.exercises.kernels), the launches
        are the solution's, and the value is what this one answers.
        """
        namespace: dict[str, Any] = {}
        exec(source, namespace)
        brought = namespace[name]
        if name != self.__name__:
            return brought

        def called(text: str, name: str, args: tuple, kwargs: dict, *more: Any) -> Any:
            key = fingerprint((args, kwargs, more))
            if key not in self.launched:
                self.launched[key] = brought(text, name, args, kwargs, *more)
            value, launches = self.launched[key]
            return (value if more else self(*args, **kwargs)), launches

        return called

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        key = fingerprint((args, kwargs))
        self.asked.setdefault(key, copy.deepcopy((args, kwargs)))
        if not self.kind or key in self.visible:
            return self.answer(key, args, kwargs)
        if self.kind.endswith(CLOBBERED):
            given = (*args, *kwargs.values())
            self.clobbered.append((given, copy.deepcopy(given)))
            clobber(given)
            return self.answer(fingerprint((args, kwargs)), args, kwargs)
        found = dict(wrong(self.answer(key, args, kwargs)))
        path, _, kind = self.kind.partition(" ")
        if path == "*":  # the same for all that it returns
            found = {k.partition(" ")[2]: v for k, v in found.items()}
            return found.get(kind, self.answer(key, args, kwargs))
        return found.get(self.kind, self.answer(key, args, kwargs))

    def answer(self, key: str, args: tuple, kwargs: dict) -> Any:
        """The right answer, computed once."""
        if key not in self.known:
            args, kwargs = copy.deepcopy((args, kwargs))
            try:
                self.known[key] = self.right(*args, **kwargs), None
            except Exception as error:
                self.known[key] = None, error
        value, error = self.known[key]
        if error:
            raise error
        return copy.deepcopy(value)

    def kinds(self) -> list[str]:
        """The ways to be wrong on what only the grader asks."""
        found: dict[str, None] = {}
        for key in self.asked.keys() - self.visible:
            args, kwargs = self.asked[key]
            with contextlib.suppress(Exception):
                right = self.answer(key, args, kwargs)
                found |= dict.fromkeys(kind for kind, _ in wrong(right))
            if clobber((*args, *kwargs.values())):
                found[f" {CLOBBERED}"] = None
        return sorted(found)

    @contextlib.contextmanager
    def answering(self, kind: str) -> Iterator[None]:
        """Be wrong in that way, for the length of a `with`."""
        self.kind = kind
        try:
            yield
        finally:
            self.kind = ""
            while self.clobbered:
                restore(*self.clobbered.pop())


class Trial:
    """What stands in for SmolLM2: a random layer, and how far its weight moves."""

    @classmethod
    @contextlib.contextmanager
    def installed(cls) -> Iterator[None]:
        """Replace what lib.exercises.trial measures, for the length of a `with`."""
        measured = (
            *("perplexity_with", "continued_with"),
            *("mean_squares", "second_moments"),
        )
        fakes = {name: getattr(cls, name) for name in measured}
        trained = {name: getattr(cls, name) for name in ("tuned_with", "scaled_with")}
        tuned = mock.patch.multiple(tuning, **trained)
        with mock.patch.multiple(trial, **fakes), tuned:
            yield

    @staticmethod
    def perplexity_with(fn: Callable, names: Any = None, protocol: Any = None) -> float:
        """1 where `fn` keeps a weight's direction, infinity where it does not."""
        name = next(iter(names)) if names else "model.layers.0.self_attn.q_proj"
        weight = torch.randn(64, 576, generator=torch.Generator().manual_seed(7))
        new = fn(name, weight.clone())
        assert new.shape == weight.shape and new.isfinite().all()
        kept = torch.cosine_similarity(new.flatten(), weight.flatten(), dim=0)
        return 1.0 if kept > 0.5 else math.inf

    @staticmethod
    def continued_with(fn: Callable, read: int = 250, protocol: Any = None) -> float:
        """1 where `fn` keeps a layer's keys and values alike, infinity elsewhere."""
        draw = torch.Generator().manual_seed(8)
        given = torch.randn(2, read, 3, 64, generator=draw)
        for was, now in zip(given, fn(*given.clone()), strict=True):
            assert now.shape == was.shape and now.isfinite().all()
            if torch.cosine_similarity(now.flatten(), was.flatten(), dim=0) < 0.5:
                return math.inf
        return 1.0

    @staticmethod
    def tuned_with(
        forward: Callable, backward: Callable, steps: int = 1
    ) -> tuple[float, float]:
        """A loss that falls: what `tuning` asks of shapes, the tests have asked."""
        return 1.0, 0.0

    @staticmethod
    def scaled_with(scale: Callable, step: Callable, tries: int = 1) -> tuning.Run:
        """A loss that falls, likewise."""
        return tuning.Run(1.0, 0.0, 0, 1.0)

    @staticmethod
    def mean_squares(names: Any = None, protocol: Any = None) -> Any:
        """Ones, whatever the layer."""
        return dict.fromkeys(names, torch.ones(576))

    @staticmethod
    def second_moments(names: Any = None, protocol: Any = None) -> Any:
        """Inputs of size 1, any two of which correlate by a half: errors can cancel."""
        widths = {name: 1536 if name.endswith("down_proj") else 576 for name in names}
        return {name: 0.5 + 0.5 * torch.eye(width) for name, width in widths.items()}
