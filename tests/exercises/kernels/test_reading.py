"""What a cell of kernels may say, and what it may not."""

import pytest

from lib.exercises.kernels.reading import read, source_of
from lib.exercises.protocol import StudentFunction

KERNEL = """
@triton.jit
def half(x):
    return x * 0.5


@triton.jit
def scale(x, y, count, BLOCK: tl.constexpr = 64):
    '''y = x / 2.'''
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = half(tl.load(x + at, mask=at < count, other=0).to(tl.float32))
    tl.store(y + at, value, mask=at < count)
"""
LAUNCH = """
def scaled(x: Tensor) -> Tensor:
    y = torch.empty_like(x)
    scale[lambda m: (triton.cdiv(x.numel(), m["BLOCK"]),)](x, y, x.numel(), BLOCK=32)
    return y
"""


def test_who_is_puzzled_may_print():
    shown = "    print(at)\n    tl.device_print('at', at)\n"
    read(KERNEL + shown + LAUNCH.replace("    return", "    print(x, y)\n    return"))


def test_kernels_helpers_and_a_launch_pass():
    text = "import torch\nimport triton\nimport triton.language as tl\n"
    assert list(read(text + KERNEL + LAUNCH).functions) == ["half", "scale", "scaled"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("at = at.__class__", "__class__"),
        ("at = __import__('os')", "__import__"),
        ("at = other_cell(at)", "not of this cell"),
        ("at = tl.inline_asm_elementwise(at)", "not among"),
        ("at = tl.core", "not among"),
        ("at = torch.empty(3)", "not among"),
        ("at = [i for i in range(3)]", "ListComp"),
        ("import os", "Import"),
        ("tl = at", "another meaning"),
        ("f = lambda: 1", "Lambda"),
        ("def inner(): pass", "FunctionDef"),
        ("at = f'{at}'", "JoinedStr"),
        ("global at", "Global"),
    ],
)
def test_a_kernel_is_refused_what_is_not_its_own(line, said):
    with pytest.raises(AssertionError, match=said):
        read(KERNEL + f"    {line}\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("y = x.sum()", "a launch only allocates"),
        ("y = x @ x", "product by PyTorch"),
        ("y = torch.matmul(x, x)", "a launch only allocates"),
        ("y = x.numpy()", "a launch only allocates"),
        ("y = torch.ops.aten.add(x, x)", "a launch only allocates"),
        ("y = tl.sum(x)", "a launch only allocates"),
        ("y = triton.runtime", "a launch only allocates"),
        ("y = exec('1')", "not of this cell"),
        ("import numpy", "Import"),
    ],
)
def test_a_launch_is_refused_what_computes(line, said):
    with pytest.raises(AssertionError, match=said):
        read(KERNEL + LAUNCH.replace("return y", line))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("print(3)", "neither a kernel"),
        ("x = 3", "neither a kernel"),
        ("import os", "neither a kernel"),
        ("class A: pass", "neither a kernel"),
        ("def f(x=print(3)): pass", "default"),
        ("@print\ndef f(x): pass", "decorates"),
        ("@triton.jit(debug=True)\ndef f(x): pass", "decorates"),
        ("@triton.jit\ndef f(*x): pass", r"takes \*"),
        ("def f(:", "line 1 is no Python"),
    ],
)
def test_nothing_runs_when_a_cell_is_read(text, said):
    with pytest.raises(AssertionError, match=said):
        read(text)


def test_the_text_that_runs_is_the_tree_that_was_read():
    text = """
def launch(x: print(1), *, BLOCK: int = 3) -> print(2):
    '''
def launch(x): unread()
    '''
    n: print(3) = (
        x.numel()
    )
    if n > 3: return x; pass
    elif n:
        return n


# a remark
@triton.jit

def kernel(x, BLOCK: "tl.constexpr", n: int = -1):
    LOW: tl.constexpr = 4
"""
    rebuilt = read(text).text
    assert "print" not in rebuilt and "unread" not in rebuilt and "#" not in rebuilt
    kept = {line.strip(): at for at, line in enumerate(rebuilt.splitlines(), 1)}
    assert kept["def launch(x, *, BLOCK=3):"] == 2
    assert kept["n = x.numel()"] == 6 and kept["if n > 3:"] == 9
    assert kept["return n"] == 13  # moved down by what stood behind the `if`
    assert kept["@triton.jit"] == 15
    assert kept["def kernel(x, BLOCK: tl.constexpr, n=-1):"] == 17
    assert kept["LOW: tl.constexpr = 4"] == 18


def test_what_is_nested_without_end_is_refused_and_not_crashed():
    for deep in ("-" * 9999 + "1", "a" + ".T" * 9999, "(" * 999 + ")" * 999):
        with pytest.raises(AssertionError, match=r"too deep|no Python"):
            read(KERNEL + LAUNCH.replace("return y", f"y = {deep}"))


def test_the_text_of_a_function_is_its_file_or_what_the_stand_in_has():
    class StandIn(StudentFunction):
        source = "def f(): ..."

        def isolated(self, source, name): ...

        def __call__(self, *args, **kwargs): ...

    assert source_of(StandIn()) == "def f(): ..."
    assert "def test_the_text_of_a_function" in source_of(here)


def here():
    pass
