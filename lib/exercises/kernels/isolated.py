"""An answer as its own cell defines it, with nothing around it that could compute.

    isolated(function)   its cell is read; what it calls is its kernels and allocation
    examine(function)    what the compiler makes of the cell's kernel, for Hopper

What runs is the text that was rebuilt of what was read: at the student's desk, in the
grader, and in the compiler's process. A grader hands over a `StudentFunction`
(lib/exercises/protocol.py), which knows the text of the answer in the submitted file;
that text crosses as a string, and its functions run in a process where no other cell of
the student's did.

Read in order: `isolated`, `called`, `only_kernels`, `examine`.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lib.exercises.kernels import interpreter, reading, rebuilding
from lib.exercises.kernels.reading import TENSOR, read, source_of
from lib.exercises.kernels.rebuilding import Cell
from lib.exercises.protocol import StudentFunction
from lib.hopper import Compiled, compiled_text

EMPTY = {"empty", "empty_like", "new_empty"}
FILLED = {"zeros", "zeros_like", "full", "full_like", "new_zeros", "new_full"}
OF_NUMBERS = {"empty", "zeros", "full"}  # they take no tensor at all
VIEWS = {"__get__", "__getitem__", "__len__"} | TENSOR
SHOWN = {"__repr__", "__format__"}
ALLOWED = {
    "builtins": reading.BUILTINS | reading.ERRORS,
    "torch": reading.TORCH,
    "triton": reading.TRITON,
}
CALLED = "from lib.exercises.kernels.isolated import called as {}"
COMPILED = "from lib.hopper import compiled_text as examined"


class Isolated:
    """An answer that was read. A call runs the text that was rebuilt of its cell.

    Behind a call stand its `launches`, and how many numbers they `stored`. It raises
    what the answer raises, and AssertionError as `only_kernels` does.
    """

    def __init__(self, name: str, call: Callable) -> None:
        self.__name__, self._call = name, call
        self.launches: list[tuple[str, tuple[int, ...]]] = []  # kernel and grid
        self.stored = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it with plain data."""
        __tracebackhide__ = True  # it is the student's own lines that matter
        value, launches = self._call(args, kwargs)
        self.launches = [(kernel, tuple(grid)) for kernel, grid, _ in launches]
        self.stored = sum(stored for *_, stored in launches)
        return value

    def with_dots_twice(self, *args: Any, **kwargs: Any) -> Any:
        """The same, where what tl.dot multiplies counts twice."""
        return self._call(args, kwargs, 2)[0]

    @property
    def programs(self) -> list[int]:
        """How many programs each launch had."""
        return [torch.Size(grid).numel() for _, grid in self.launches]


def isolated(function: Callable) -> Isolated:
    """`function`, after its cell was read, where only kernels compute.

    Raises AssertionError where the cell has what is neither a kernel nor a launch, or
    where it has no such function, or no kernel.
    """
    source, name = source_of(function), function.__name__
    cell = read(source)
    if name not in cell.functions:
        there = ", ".join(cell.functions) or "none at all"
        raise AssertionError(
            f"the cell of {name} defines no function {name}; it has {there}. Is the "
            "name spelled as it was, and the function in its own cell?"
        )
    if not cell.kernels:
        raise AssertionError(
            f"the cell of {name} has no kernel: a function under @triton.jit, "
            f"which {name} launches"
        )
    call = functools.partial(called, source, name)
    if isinstance(function, StudentFunction):
        apart = function.isolated(CALLED.format(name), name)
        call = functools.partial(apart, source, name)
    return Isolated(name, call)


def called(
    source: str, name: str, args: tuple, kwargs: dict, dots: int = 1
) -> tuple[Any, list]:
    """Call a function of a cell; its value, and (kernel, grid, stored) a launch.

    What tl.dot multiplies counts `dots` times. Raises what `isolated` and its functions
    raise.
    """
    __tracebackhide__ = True
    before = len(interpreter.launches)
    with interpreter.dots_count(dots):
        value = only_kernels(_functions(source)[name])(*args, **kwargs)
    ended = interpreter.launches[before:]
    return value, [(it.kernel, it.grid, it.stored) for it in ended]


@functools.lru_cache(maxsize=4)
def _functions(source: str) -> dict[str, Any]:
    return rebuilding.run(read(source), ALLOWED, _Guard.show)


def only_kernels(function: Callable) -> Callable:
    """`function`, in which PyTorch may allocate and nothing else.

    What is allocated and not filled holds NaN, or 0x55 in every byte. The function
    raises AssertionError where PyTorch computes, or where no kernel is launched; and
    RuntimeError where a kernel stores to one of its arguments.
    """

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        before = len(interpreter.launches)
        given = (*args, *kwargs.values())
        with interpreter.only_read(given), _Guard(function.__name__):
            value = function(*args, **kwargs)
        if len(interpreter.launches) == before:
            raise AssertionError(
                f"{function.__name__} launched no kernel: {function.__name__}_kernel"
                "[grid](…) does, or what yours is called"
            )
        return value

    return guarded


class _Guard(TorchFunctionMode):
    """Refuses every function of PyTorch but allocation, views and shapes."""

    showing = False

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @classmethod
    def show(cls, *values: Any, sep: str = " ", end: str = "\n") -> None:
        """The `print` of a launch or a kernel: what it shows goes no other way."""
        cls.showing = True
        try:
            print(*values, sep=sep, end=end)
        finally:
            cls.showing = False

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs = func.__name__, kwargs or {}
        if interpreter.is_running() or (self.showing and name in SHOWN):
            return func(*args, **kwargs)
        if name in SHOWN:
            self.refuse("makes text of a tensor: print(x) shows it")
        if name not in EMPTY | FILLED | VIEWS:
            self.refuse(
                f"asks PyTorch for `{name}`: that is a kernel of PyTorch's, with a "
                "journey of its own. Let yours do it"
            )
        others = (args if name in OF_NUMBERS else args[1:], kwargs)
        if any(True for _ in _tensors(others)):
            self.refuse(f"gives `{name}` a number of a tensor: it knows shapes only")
        out = func(*args, **kwargs)
        if name in EMPTY and out.numel():
            out.view(torch.uint8).fill_(0x55)
            if out.is_floating_point():
                out.fill_(torch.nan)
        elif name in VIEWS and isinstance(out, Tensor):
            where = out.untyped_storage().data_ptr()
            if out.numel() and where != args[0].untyped_storage().data_ptr():
                self.refuse(f"copies a tensor by `{name}`: let a kernel read it there")
        return out

    def refuse(self, why: str) -> None:
        raise AssertionError(f"{self.name} {why}")


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a value, however deep."""
    match value:
        case Tensor():
            yield value
        case list() | tuple():
            for inside in value:
                yield from _tensors(inside)
        case dict():
            yield from _tensors(tuple(value.values()))
        case slice():
            yield from _tensors((value.start, value.stop, value.step))


_examined: dict[str, Compiled] = {}


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
    multiples of 16; what is no constant either is int32. The same text is compiled
    once. Raises AssertionError where the cell does not pass `read`, has no such kernel,
    or the compiler refuses it.
    """
    cell: Cell = read(source_of(function))
    if kernel not in cell.kernels:
        there = ", ".join(sorted(cell.kernels)) or "none at all"
        raise AssertionError(
            f"the cell of {function.__name__} has no kernel {kernel}; it has {there}"
        )
    asked = (cell.text, kernel, pointers, sorted(multiples), constants)
    if repr(asked) not in _examined:
        compiled = compiled_text
        if isinstance(function, StudentFunction):
            compiled = function.isolated(COMPILED, "examined")
        _examined[repr(asked)] = compiled(*asked)
    return _examined[repr(asked)]
