"""Triton's interpreter with fences: an address outside a tensor is a named error.

    fenced address = base of the tensor + offset        0 <= offset < its bytes

A GPU reads what lies behind a tensor, or writes there, and says nothing; the
interpreter may end the process. Here every argument gets a base of its own, terabytes
from the others, so that an address tells whose it is: a load or store outside is an
IndexError that names the tensor, the program and the line. Two more things that a GPU
keeps to itself are said: a program that writes or reads what another one of the same
launch wrote is a RuntimeError, and a masked load without `other` gives NaN, or 0x55 in
every byte.

Read in order: `interpreted`, `Fence`, `Launch`.
"""

import importlib
import inspect
import linecache
import math
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

OFFSET_BITS = 44  # bits of an address that are an offset, half of them negative
MOST_PROGRAMS = 10_000  # about a millisecond each
MISSING = (
    "This homework needs Triton, which exists for Linux, and for WSL on Windows: "
    "pip install 'llm-compression-from-scratch[gpu]' there, or work on a computer "
    "of your school or in the cloud. It needs no GPU. Exercise 1 needs no Triton."
)
launches: list[tuple[str, tuple[int, ...]]] = []  # kernel and grid of all so far


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


@dataclass
class Fence:
    """A tensor that a kernel may touch, and who wrote what in this launch."""

    name: str
    tensor: Tensor
    writers: np.ndarray | None = None  # the program that wrote each number, or -1

    @property
    def size(self) -> int:
        """Numbers from the first to the last, those between strides included."""
        steps = zip(self.tensor.shape, self.tensor.stride(), strict=True)
        last = sum((length - 1) * stride for length, stride in steps)
        return last + 1 if self.tensor.numel() else 0

    def describe(self, numbers: np.ndarray) -> str:
        """`x[3]`, or `x[3] … x[9]`."""
        low, high = int(numbers.min()), int(numbers.max())
        return f"{self.name}[{low}]" + (f" … {self.name}[{high}]" if high > low else "")


@dataclass
class Launch:
    """The fences of one launch, and the checks of its loads and stores."""

    kernel: str
    program: Callable[[], tuple[int, ...]]
    grid: tuple[int, ...] = ()
    names: dict[int, str] = field(default_factory=dict)  # of tensors, by address
    fences: list[Fence] = field(default_factory=list)

    def begin(self, executor: Any, args: tuple, kwargs: dict) -> None:
        """Note the tensors' names and the grid; raises ValueError for one too large."""
        known = {k: v for k, v in kwargs.items() if k in executor.arg_names}
        named = inspect.getcallargs(executor.fn, *args, **known)
        for name, value in reversed(named.items()):
            if isinstance(value, Tensor):
                self.names[value.data_ptr()] = name
        grid = executor.grid(named) if callable(executor.grid) else executor.grid
        self.grid = tuple(int(length) for length in grid) + (1,) * (3 - len(grid))
        if math.prod(self.grid) > MOST_PROGRAMS:
            raise ValueError(
                f"{self.kernel}: a grid of {self.grid}, more than {MOST_PROGRAMS:,} "
                "programs, takes the interpreter too long. Is it a program a block?"
            )
        launches.append((self.kernel, self.grid))

    def admit(self, name: str, tensor: Tensor) -> int:
        """The fenced base of a tensor: the same for one that came before."""
        address = tensor.data_ptr()
        known = [fence.tensor.data_ptr() for fence in self.fences]
        number = known.index(address) if address in known else len(known)
        if number == len(known):
            self.fences.append(Fence(name, tensor))
        return (number + 1 << OFFSET_BITS) + (1 << OFFSET_BITS - 1)

    def real(self, fenced: np.ndarray, mask: np.ndarray, verb: str) -> np.ndarray:
        """The real addresses of `fenced` ones; 0 where masked.

        Raises IndexError for one that is outside every tensor, and what `check` raises.
        """
        real, asked = np.zeros_like(fenced), fenced[mask].astype(np.int64)
        number = (asked >> OFFSET_BITS) - 1
        offset = (asked & (1 << OFFSET_BITS) - 1) - (1 << OFFSET_BITS - 1)
        found = np.zeros_like(asked)
        for which in np.unique(number):
            if not 0 <= which < len(self.fences):
                raise IndexError(f"tl.{verb} at an address that is no argument's")
            fence, here = self.fences[which], number == which
            self.check(fence, offset[here], verb)
            found[here] = fence.tensor.data_ptr() + offset[here]
        real[mask] = found.astype(np.uint64)
        return real

    def check(self, fence: Fence, offset: np.ndarray, verb: str) -> None:
        """Look at a load or store of one tensor, and note who wrote.

        Raises IndexError for numbers outside the tensor, and RuntimeError for those
        that another program of this launch wrote.
        """
        numbers = offset // fence.tensor.element_size()
        outside = numbers[(numbers < 0) | (numbers >= fence.size)]
        if outside.size:
            verbed = {"load": "reads", "store": "writes"}.get(verb, "touches")
            whole = f"{fence.name}[0] … {fence.name}[{fence.size - 1}]"
            raise IndexError(
                f"tl.{verb} {verbed} {fence.describe(outside)}, and there is only "
                f"{whole if fence.size else 'an empty ' + fence.name}. "
                "Mask what is outside: mask=…"
            )
        if fence.writers is None:
            if verb == "load":
                return
            fence.writers = np.full(fence.size, -1, np.int64)
        me = int(np.ravel_multi_index(self.program(), self.grid))
        others = fence.writers[numbers]
        taken = (others >= 0) & (others != me)
        if taken.any() and verb != "atomic":
            verbed = "writes" if verb == "store" else "reads"
            raise RuntimeError(
                f"tl.{verb} {verbed} {fence.describe(numbers[taken])}, which program "
                f"{self.named(others[taken][0])} wrote in this launch: programs of one "
                "launch have no order"
            )
        if verb != "load":
            fence.writers[numbers] = me

    def named(self, program: int) -> str:
        """The program_ids of a program."""
        return str(tuple(int(i) for i in np.unravel_index(program, self.grid)))


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
        launch = Launch(executor.fn.__name__, lambda: builder.grid_idx)
        _running.append(launch)
        try:
            launch.begin(executor, args, kwargs)
            plain_run(executor, *args, **kwargs)
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
