"""The fences of a launch: an address outside a tensor is a named error.

    fenced address = base of the tensor + offset        0 <= offset < its bytes

A GPU reads what lies behind a tensor, or writes there, and says nothing; the
interpreter may end the process. Here every argument gets a base of its own, terabytes
from the others, so that an address tells whose it is: a load or store outside is an
IndexError that names the tensor, the program and the line. More that a GPU keeps to
itself is a RuntimeError: a program that writes or reads what another one of the same
launch wrote, and a store to what a function was given to read.

Read in order: `Fence`, `Launch`, `grid_of`.  Installed by interpreter.py.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

OFFSET_BITS = 44  # bits of an address that are an offset, half of them negative
MOST_PROGRAMS = 10_000  # about a millisecond each


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
    read_only: set[int] = field(default_factory=set)
    stored: int = 0  # numbers, by all programs

    def begin(self, named: dict[str, Any], read_only: set[int]) -> None:
        """Note the tensors' names, and the storages that are only to be read."""
        self.read_only = read_only
        for name, value in reversed(named.items()):
            if isinstance(value, Tensor):
                self.names[value.data_ptr()] = name

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
        that another program of this launch wrote, or that are only to be read.
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
        if verb != "load":
            self.stored += numbers.size
            if fence.tensor.untyped_storage().data_ptr() in self.read_only:
                raise RuntimeError(
                    f"tl.{verb} writes {fence.describe(numbers)}, and the function was "
                    f"given {fence.name} to read: write what it allocates itself"
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
            other = self.named(int(others[taken][0]))
            raise RuntimeError(
                f"tl.{verb} {verbed} {fence.describe(numbers[taken])}, which program "
                f"{other} wrote in this launch: programs of one launch have no order"
            )
        if verb != "load":
            fence.writers[numbers] = me

    def named(self, program: int) -> str:
        """The program_ids of a program."""
        return str(tuple(int(i) for i in np.unravel_index(program, self.grid)))


def arguments_of(executor: Any, args: tuple, kwargs: dict, dtype: type) -> dict:
    """A kernel's arguments by name; raises TypeError for what no kernel takes.

    `dtype` is the type of Triton's dtypes, which a constant may be.
    """
    known = {k: v for k, v in kwargs.items() if k in executor.arg_names}
    named = inspect.getcallargs(executor.fn, *args, **known)
    for name, value in named.items():
        constant = name in executor.constexprs
        kinds = (int, float, str, dtype) if constant else (int, float, Tensor)
        every = value if isinstance(value, tuple) else (value,)
        if not all(one is None or isinstance(one, kinds) for one in every):
            takes = "numbers, strings and dtypes" if constant else "tensors and numbers"
            raise TypeError(
                f"{executor.fn.__name__}: {name} is a {type(value).__name__}, and "
                f"{'constants are' if constant else 'a kernel takes'} {takes}"
            )
    return named


def grid_of(executor: Any, named: dict[str, Any]) -> tuple[int, ...]:
    """The grid of a launch; raises ValueError for one too large."""
    grid = executor.grid(named) if callable(executor.grid) else executor.grid
    grid = tuple(int(length) for length in grid) + (1,) * (3 - len(grid))
    kernel, programs = executor.fn.__name__, math.prod(grid)
    if programs > MOST_PROGRAMS:
        raise ValueError(
            f"{kernel}: a grid of {grid}, more than {MOST_PROGRAMS:,} "
            "programs, takes the interpreter too long. Is it a program a block?"
        )
    return grid
