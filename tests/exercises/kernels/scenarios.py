"""Kernels that do wrong, run in the fenced interpreter; prints what each was told.

A process of its own: Triton asks once whether it interprets.
"""

import contextlib
import json
import sys

from lib.exercises.kernels import interpreted, only_kernels
from lib.exercises.kernels.interpreter import launches
from lib.exercises.kernels.isolated import _Guard

interpreted()

import torch  # noqa: E402
import triton  # noqa: E402
import triton.language as tl  # noqa: E402

COUNT = 1000


@triton.jit
def copy(
    x, y, count,
    LOW: tl.constexpr = 0, FROM: tl.constexpr = 0, TO: tl.constexpr = 0,
    BLOCK: tl.constexpr = 256,
):  # fmt: skip
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + at + FROM, mask=(at < count) & (at >= LOW), other=0)
    tl.store(y + at + TO, value, mask=(at < count) & (at >= LOW))


@triton.jit
def copied_without_a_mask(x, y, count, BLOCK: tl.constexpr = 256):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, tl.load(x + at), mask=at < count)


@triton.jit
def all_to_one_place(x, y, count, BLOCK: tl.constexpr = 256):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y, tl.sum(tl.load(x + at, mask=at < count, other=0), 0))


@triton.jit
def reads_its_neighbour(x, y, count, BLOCK: tl.constexpr = 256):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    before = tl.load(y + at - BLOCK, mask=at >= BLOCK, other=0)
    tl.store(y + at, before, mask=at < count)


@triton.jit
def adds_in_any_order(x, y, count, BLOCK: tl.constexpr = 256):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.atomic_add(y, tl.sum(tl.load(x + at, mask=at < count, other=0), 0))


@triton.jit
def without_other(x, y, count, BLOCK: tl.constexpr = 256):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + at, mask=at < 3)
    tl.store(y + at, value, mask=at < count)


@triton.jit
def helper(x, at):
    return tl.load(x + at)


@triton.jit
def helped(x, y, count, BLOCK: tl.constexpr = 256):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, helper(x, at), mask=at < count)


@triton.jit
def unwritten(x, y, count):
    raise NotImplementedError


@triton.jit
def odd_block(x, y, count):
    tl.store(y + tl.arange(0, 3), 0)


def launch(kernel, x=None, **constants):
    x = torch.arange(float(COUNT)) if x is None else x
    y = torch.zeros_like(x)
    kernel[(triton.cdiv(COUNT, 256),)](x, y, COUNT, **constants)
    return y


def told(function):
    try:
        value = function()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return value.tolist() if isinstance(value, torch.Tensor) else value


x = torch.arange(float(COUNT))
wide = torch.arange(2.0 * COUNT)


def computes(x):
    launch(copy, x)
    return x + 1


def converts(x):
    launch(copy, x)
    return x.half()


def peeks(x):
    launch(copy, x)
    return float(x[0])


def allocates(x):
    launch(copy, x)
    return torch.empty(2), torch.empty(2, dtype=torch.int16)


def prints(x):
    y = launch(copy, x)
    _Guard.show(y[:2], y.shape)
    return y[0]


def formats(x):
    launch(copy, x)
    return f"{x[0]}"


def writes_what_it_was_given(x):
    copy[(4,)](x, x, COUNT)


def launches_nothing(x):
    return torch.zeros(len(x))


SCENARIOS = {
    "honest": lambda: bool((launch(copy) == x).all()),
    "strided": lambda: bool((launch(copy, wide[::2])[:3] == wide[:3]).all()),
    "load": lambda: launch(copied_without_a_mask),
    "before": lambda: launch(copy, FROM=-1),
    "store": lambda: launch(copy, TO=2),
    "far": lambda: launch(copy, FROM=10**9),
    "farther": lambda: launch(copy, FROM=1 << 45),
    "race": lambda: launch(all_to_one_place),
    "neighbour": lambda: launch(reads_its_neighbour),
    "atomic": lambda: launch(adds_in_any_order)[0].item(),
    "floats": lambda: launch(without_other)[2:4],
    "bytes": lambda: launch(without_other, x.to(torch.uint8))[2:4],
    "helped": lambda: launch(helped),
    "unwritten": lambda: launch(unwritten),
    "odd_block": lambda: launch(odd_block),
    "argument": lambda: copy[(1,)](x),
    "crowd": lambda: copy[(1 << 20,)](x, x, COUNT),
    "after_all": lambda: bool((launch(copy) == x).all()),
    "launched": lambda: [launches[-1].kernel, launches[-1].grid, launches[-1].stored],
    "computes": lambda: only_kernels(computes)(x),
    "converts": lambda: only_kernels(converts)(x),
    "peeks": lambda: only_kernels(peeks)(x),
    "formats": lambda: only_kernels(formats)(x),
    "given": lambda: only_kernels(writes_what_it_was_given)(x),
    "prints": lambda: only_kernels(prints)(x),
    "launches_nothing": lambda: only_kernels(launches_nothing)(x),
    "allocates": lambda: [t.tolist() for t in only_kernels(allocates)(x)],
    "again": lambda: interpreted(),
}

if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        ended = {name: told(run) for name, run in SCENARIOS.items()}
    json.dump(ended, sys.stdout)
