"""Triton's interpreter behind fences: what a GPU keeps to itself is said.

Loads and stores are checked (fences.py); a masked load without `other` gives NaN, or
0x55 in every byte; an error in a kernel names the program and the line.

Read in order: `interpreted`, `Launched`, `only_read`.
"""

import contextlib
import importlib
import linecache
import math
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from lib.exercises.kernels.fences import Launch, arguments_of, grid_of

MISSING = (
    "This homework needs Triton, which exists for Linux, and for WSL on Windows: "
    "pip install 'llm-compression-from-scratch[gpu]' there, or work on a computer "
    "of your school or in the cloud. It needs no GPU. Exercise 1 needs no Triton."
)


@dataclass(frozen=True)
class Launched:
    """A launch that came to its end."""

    kernel: str
    grid: tuple[int, ...]
    stored: int  # numbers, by all programs


launches: list[Launched] = []  # all so far


def interpreted() -> None:
    """Let kernels run on the CPU, fenced.

    Raises ImportError without Triton, and RuntimeError where Triton is already there as
    a compiler: it asks only once.
    """
    os.environ["TRITON_INTERPRET"] = "1"
    before = "triton" in sys.modules
    try:
        interpreter = importlib.import_module("triton.runtime.interpreter")
    except ImportError as error:
        raise ImportError(MISSING) from error
    jitted = importlib.import_module("triton.language").sum
    if before and not isinstance(jitted, interpreter.InterpretedFunction):
        raise RuntimeError("Triton came before this cell: restart the kernel, run it")
    if not isinstance(interpreter.interpreter_builder, _fenced(interpreter)):
        _install(interpreter)


_read_only: set[int] = set()


@contextlib.contextmanager
def only_read(tensors: Iterable[Any]) -> Iterator[None]:
    """Kernels that store to one of `tensors` raise RuntimeError meanwhile."""
    given = [it for it in tensors if isinstance(it, Tensor) and it.numel()]
    new = {it.untyped_storage().data_ptr() for it in given} - _read_only
    _read_only.update(new)
    try:
        yield
    finally:
        _read_only.difference_update(new)


_times = [1]


@contextlib.contextmanager
def dots_count(times: int) -> Iterator[None]:
    """What tl.dot multiplies counts so many times: so it shows what comes of it."""
    _times.append(times)
    try:
        yield
    finally:
        _times.pop()


_classes: dict[Any, type] = {}
_running: list[Launch] = []


def is_running() -> bool:
    """Whether a kernel runs now."""
    return bool(_running)


def _fenced(interpreter: Any) -> type:
    """The interpreter's builder, whose loads and stores are checked."""
    if interpreter in _classes:
        return _classes[interpreter]
    plain: Any = interpreter.InterpreterBuilder
    handle = interpreter.TensorHandle

    class Fenced(plain):
        def create_masked_load(self, ptrs, mask, other, *rest):
            if other is None and ptrs.data.size > 1:  # one 0 comes as None too
                kind = ptrs.get_element_ty()
                numbers = interpreter._get_np_dtype(kind)
                other = handle(_unknown(ptrs.data.shape, numbers), kind)
            ptrs = self.checked(ptrs, mask, "load")
            return super().create_masked_load(ptrs, mask, other, *rest)

        def create_masked_store(self, ptrs, value, mask, *rest):
            ptrs = self.checked(ptrs, mask, "store")
            return super().create_masked_store(ptrs, value, mask, *rest)

        def create_atomic_rmw(self, op, ptr, val, mask, *rest):
            ptr = self.checked(ptr, mask, "atomic")
            return super().create_atomic_rmw(op, ptr, val, mask, *rest)

        def create_dot(self, a, b, d, *rest):
            out = super().create_dot(a, b, d, *rest)
            return handle(d.data + _times[-1] * (out.data - d.data), out.dtype)

        def checked(self, ptrs, mask, verb):
            real = _running[-1].real(ptrs.data, mask.data.astype(bool), verb)
            return handle(real, ptrs.dtype)

    return _classes.setdefault(interpreter, Fenced)


def _unknown(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """What a masked load may give where nobody said what."""
    if np.issubdtype(dtype, np.floating):
        return np.full(shape, np.nan, dtype)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return np.full(size, 0x55, np.uint8).view(dtype).reshape(shape)


def _install(interpreter: Any) -> None:
    """Fence the interpreter's one builder, and its way to run a grid."""
    interpreter.interpreter_builder.__class__ = _fenced(interpreter)
    plain_run = interpreter.GridExecutor.__call__
    plain_convert = interpreter._implicit_cvt

    def convert(argument):
        converted = plain_convert(argument)
        if _running and isinstance(argument, Tensor):
            names = _running[-1].names
            base = _running[-1].admit(
                names.get(argument.data_ptr(), "a tensor"), argument
            )
            converted.handle.data = np.array([base], np.uint64)
        return converted

    def run(executor, *args, **kwargs):
        __tracebackhide__ = True
        builder = interpreter.interpreter_builder
        kernel = executor.fn.__name__
        named = arguments_of(executor, args, kwargs, interpreter.tl.dtype)
        executor.grid = grid_of(executor, named)
        launch = Launch(kernel, lambda: builder.grid_idx, executor.grid)
        _running.append(launch)
        try:
            launch.begin(named, _read_only)
            plain_run(executor, *args, **kwargs)
            launches.append(Launched(kernel, executor.grid, launch.stored))
        except interpreter.InterpreterError as error:
            raise _explained(error, launch, executor.fn) from None
        finally:
            _running.pop()

    interpreter._implicit_cvt = convert
    interpreter.GridExecutor.__call__ = run


def _explained(error: Exception, launch: Launch, kernel: Any) -> Exception:
    """The first cause of an error in a kernel, with the program and the line."""
    lines: list[str] = []
    cause: BaseException = error
    link: BaseException | None = error
    while link is not None:
        cause, link = link, link.__cause__
        for frame in traceback.extract_tb(cause.__traceback__):
            if frame.filename == kernel.__code__.co_filename and frame.lineno:
                text = linecache.getline(frame.filename, frame.lineno).strip()
                lines.append(f"    line {frame.lineno}: {text}")
    if isinstance(cause, NotImplementedError) and not str(cause):
        return NotImplementedError(f"the kernel {launch.kernel} is not written yet")
    program = ", ".join(map(str, launch.program()))
    where = f"kernel {launch.kernel}, program ({program})"
    known = isinstance(cause, Exception) and type(cause).__module__ == "builtins"
    kind: Any = type(cause) if known else RuntimeError
    said = f"{where}: {cause}" + "".join(f"\n{line}" for line in lines[-1:])
    try:
        return kind(said)
    except TypeError:
        return RuntimeError(said)
