"""An answer as its own cell defines it, with nothing around it that could compute.

    isolated(function)   its cell is read; what it calls is its kernels and allocation
    examine(function)    what the compiler makes of the cell's kernel, for Hopper

In a student's notebook the function is the notebook's own. A grader hands over a
`StudentFunction` (lib/exercises/protocol.py), which knows the text of the answer in the
submitted file, and runs a text isolated. So what is judged is what was read.

Read in order: `isolated`, `only_kernels`, `examine`.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from lib.exercises.kernels import fences
from lib.exercises.kernels.reading import TENSOR, is_kernel, read, source_of
from lib.exercises.protocol import StudentFunction
from lib.hopper import Compiled, compiled_text

EMPTY = {"empty", "empty_like", "new_empty"}
FILLED = {"zeros", "zeros_like", "full", "full_like", "new_zeros", "new_full"}
READ = {"__get__", "__getitem__", "__len__", "__iter__", "__repr__", "__format__"}
GUARD = "from lib.exercises.kernels import only_kernels\n{0} = only_kernels({0})"
UNREAD = "from lib.hopper import compiled_text as examined"


def isolated(function: Callable) -> Callable:
    """`function`, after its cell was read, where only kernels compute.

    Raises AssertionError where the cell has what is neither a kernel nor a launch, or
    where it has no kernel.
    """
    source, name = source_of(function), function.__name__
    functions = read(source)
    if name not in functions or not any(map(is_kernel, functions.values())):
        raise AssertionError(
            f"the cell of {name} has no kernel: a function under @triton.jit, "
            f"which {name} launches"
        )
    if isinstance(function, StudentFunction):
        return function.isolated(f"{source}\n\n{GUARD.format(name)}", name)
    return only_kernels(function)


def only_kernels(function: Callable) -> Callable:
    """`function`, in which PyTorch may allocate and nothing else.

    What is allocated and not filled holds NaN, or 0x55 in every byte. The function
    raises AssertionError where PyTorch computes, or where no kernel is launched.
    """

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True  # it is the student's own lines that matter
        before = len(fences.launches)
        with _Guard(function.__name__):
            value = function(*args, **kwargs)
        if len(fences.launches) == before:
            raise AssertionError(f"{function.__name__} launched no kernel")
        return value

    return guarded


class _Guard(TorchFunctionMode):
    """Refuses every function of PyTorch but allocation, views and shapes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if fences.is_running():
            return func(*args, **(kwargs or {}))
        if func.__name__ not in EMPTY | FILLED | TENSOR | READ:
            raise AssertionError(
                f"{self.name} asks PyTorch for `{func.__name__}`: that is a kernel of "
                "PyTorch's, with a journey of its own. Let yours do it"
            )
        out = func(*args, **(kwargs or {}))
        if func.__name__ in EMPTY and out.numel():
            out.view(torch.uint8).fill_(0x55)
            if out.is_floating_point():
                out.fill_(torch.nan)
        return out


def examine(
    function: Callable,
    kernel: str,
    pointers: dict[str, str],
    *,
    multiples: set[str],
    constants: dict[str, int],
) -> Compiled:
    """What the compiler makes of `kernel` in the cell of `function`, for Hopper.

    `pointers` are the dtypes of its tensors, `multiples` the arguments that are whole
    multiples of 16; what is no constant either is int32. Raises AssertionError where
    the cell does not pass `read`, has no such kernel, or the compiler refuses it.
    """
    source = source_of(function)
    functions = read(source)
    if kernel not in functions or not is_kernel(functions[kernel]):
        raise AssertionError(f"the cell of {function.__name__} has no kernel {kernel}")
    compiled = compiled_text
    if isinstance(function, StudentFunction):
        compiled = function.isolated(UNREAD, "examined")
    return compiled(source, kernel, pointers, sorted(multiples), constants)
