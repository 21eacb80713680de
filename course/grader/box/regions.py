"""Tensors and arrays as places in regions of memory: what overlapped still overlaps.

    leaf    ["T", dtype, shape, strides, requires_grad, [region, byte]]
    region  the bytes from the first to the last that its leaves cover

Leaves whose bytes overlap lie in one region, so that a view is a view on the other side
too, with its strides. What lies between a leaf's elements is nobody's: it is sent as
zeros, and nothing there can be read or written through a place.

Read in order: `Packer`, `tensor_at`, `array_at`, `Coverage`.
"""

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch

MAX_BYTES = 128 << 20  # of all regions of a frame, and of all elements of its leaves
MAX_DIMENSIONS = 16
MAX_SPREAD = 64  # a view over more times its own bytes is sent as a dense copy
ALIGNED = 16  # no element is wider
TORCH_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.complex64, torch.complex128),
        *(torch.float8_e4m3fn, torch.float8_e5m2),
    )
}
NUMPY_KINDS = "biufc"  # booleans, integers, floats, complex: never objects

Leaf: TypeAlias = torch.Tensor | np.ndarray


class Forged(ValueError):  # noqa: N818 (it is what the sender did, not a slip of ours)
    """Bytes that no honest sender would send."""


class Unsendable(TypeError):  # noqa: N818
    """A value of a type that does not cross."""


@dataclass
class Placed:
    """A leaf, from and to which address it lies, and its place, filled in by `pack`."""

    low: int
    high: int
    leaf: Leaf
    copied: bool  # from the memory of the value
    place: list[int] = field(default_factory=list)


@dataclass
class Region:
    """Leaves that overlap, and the bytes from the first to the last of them."""

    start: int  # address here
    content: memoryview
    members: list[Placed]


class Packer:
    """Gives leaves their places, and regions their bytes, when all leaves are there.

    `known` are the regions that the other side has already: from, to in memory here.
    """

    def __init__(self, known: list[tuple[int, int]]) -> None:
        self.known, self.bytes = known, 0
        self.leaves: list[Placed] = []

    def add(self, leaf: Any, *, copied: bool = False) -> tuple[Any, list[int]]:
        """The leaf as it is sent, and its place, which `pack` fills in."""
        self.bytes += leaf.nbytes
        low, high = extent(leaf)
        if high - low > MAX_SPREAD * leaf.nbytes:
            copied = True
            if isinstance(leaf, np.ndarray):
                leaf = np.ascontiguousarray(leaf)
            else:
                leaf = leaf.contiguous()
            low, high = extent(leaf)
        placed = Placed(low, high, leaf, copied)
        if high > low:
            self.leaves.append(placed)
        return leaf, placed.place

    def pack(self) -> list[Region]:
        """The regions that the other side does not have. Raises `Unsendable`."""
        if self.bytes > MAX_BYTES:
            raise Unsendable(f"{self.bytes:,} bytes are too many to send")
        regions: list[Region] = []
        for group in self.groups():
            region = dense(group[0]) if len(group) == 1 else None
            region = region or gathered(group)
            for one in group:
                number = len(self.known) + len(regions)
                one.place[:] = [number, begin(one) - region.start]
            regions.append(region)
        return regions

    def groups(self) -> list[list[Placed]]:
        """The leaves that lie in no known region, those that overlap together."""
        known = sorted((*where, n) for n, where in enumerate(self.known))
        groups: list[list[Placed]] = []
        at = end = 0
        for one in sorted(self.leaves, key=lambda one: one.low):
            while at < len(known) and known[at][1] <= one.low:
                at += 1
            if at < len(known) and known[at][0] <= one.low <= one.high <= known[at][1]:
                one.place[:] = [known[at][2], begin(one) - known[at][0]]
            elif groups and one.low < end:
                groups[-1].append(one)
                end = max(end, one.high)
            else:
                groups.append([one])
                end = one.high
        return groups


def extent(leaf: Leaf) -> tuple[int, int]:
    """From and to which address a leaf's elements lie; nowhere if it has none."""
    if isinstance(leaf, np.ndarray):
        return np.lib.array_utils.byte_bounds(leaf) if leaf.size else (0, 0)
    if not leaf.numel():
        return 0, 0
    steps = zip(leaf.shape, leaf.stride(), strict=True)
    last = sum((length - 1) * step for length, step in steps)
    return leaf.data_ptr(), leaf.data_ptr() + (last + 1) * leaf.itemsize


def begin(one: Placed) -> int:
    """The address of the first element: an array's may lie behind its others."""
    return one.leaf.ctypes.data if isinstance(one.leaf, np.ndarray) else one.low


def byte_steps(leaf: Leaf) -> list[int]:
    """The strides of a leaf in bytes."""
    if isinstance(leaf, np.ndarray):
        return list(leaf.strides)
    return [step * leaf.itemsize for step in leaf.stride()]


def dense(one: Placed) -> Region | None:
    """The region of one leaf that fills it: its own memory, and no copy."""
    due = one.leaf.itemsize
    axes = zip(byte_steps(one.leaf), one.leaf.shape, strict=True)
    for step, length in sorted(axis for axis in axes if axis[1] > 1):
        if step != due:
            return None
        due *= length
    if isinstance(one.leaf, np.ndarray):
        if not one.leaf.flags.c_contiguous:
            return None
        flat: Any = one.leaf.reshape(-1).view(np.uint8)
    else:
        start = one.leaf.storage_offset() * one.leaf.itemsize
        memory = torch.empty(0, dtype=torch.uint8)
        memory.set_(one.leaf.untyped_storage(), start, (one.leaf.nbytes,), (1,))
        flat = memory.numpy()
    return Region(one.low, flat.data, [one])


def gathered(group: list[Placed]) -> Region:
    """The region of several leaves, or of one with gaps: zero where none has a byte."""
    low = min(one.low for one in group)
    low -= low % ALIGNED
    size = max(one.high for one in group) - low
    if size > MAX_BYTES:
        raise Unsendable(f"{size:,} bytes are too many to send")
    memory = torch.zeros(size, dtype=torch.uint8)
    for one in group:
        at, leaf = begin(one) - low, one.leaf
        if isinstance(leaf, np.ndarray):
            here = array_at(memory, leaf.dtype, leaf.shape, leaf.strides, at)
        else:
            here = tensor_at(memory, leaf.dtype, leaf.shape, leaf.stride(), at)
        assign(here, leaf)
    return Region(low, memory.numpy().data, group)


def tensor_at(
    memory: torch.Tensor, dtype: torch.dtype, shape, steps, byte: int
) -> torch.Tensor:
    """The tensor of that dtype, shape and strides from a byte of a region on.

    Raises `Forged` where the region does not hold it.
    """
    last = sum((length - 1) * step for length, step in zip(shape, steps, strict=True))
    whole = len(memory) - len(memory) % dtype.itemsize
    if byte < 0 or byte % dtype.itemsize or byte + (last + 1) * dtype.itemsize > whole:
        raise Forged(f"shape {list(shape)} by {list(steps)} at {byte} is not there")
    start = memory[:whole].view(dtype)
    return start.as_strided(
        shape, steps, start.storage_offset() + byte // dtype.itemsize
    )


def array_at(
    memory: torch.Tensor, dtype: np.dtype, shape, steps, byte: int
) -> np.ndarray:
    """The array of that dtype, shape and strides; NumPy refuses what does not fit."""
    return np.ndarray(shape, dtype, memory.numpy(), byte, steps)


def leaf_at(memory: torch.Tensor, tag: str, name: str, shape, steps, byte: int) -> Leaf:
    """The tensor ("T") or array ("A") of a node's words, in a region's memory.

    Raises what `tensor_at` and NumPy do. A byte that is no truth value becomes one.
    """
    if tag == "A":
        dtype = np.dtype(name)
        if dtype.kind != "b":
            return array_at(memory, dtype, shape, steps, byte)
        raw = array_at(memory, np.dtype(np.uint8), shape, steps, byte)
        return raw != 0 if raw.size and raw.max() > 1 else raw.view(dtype)
    if name != "bool":
        return tensor_at(memory, TORCH_DTYPES[name], shape, steps, byte)
    raw = tensor_at(memory, torch.uint8, shape, steps, byte)
    return raw != 0 if raw.numel() and raw.max() > 1 else raw.view(torch.bool)


def checked_shape(shape: list, steps: list, itemsize: int, lowest: int) -> int:
    """The bytes of all elements; `Forged` for what is no shape, or no strides."""
    if len(shape) != len(steps) or len(shape) > MAX_DIMENSIONS:
        raise Forged(f"shape {str(shape)[:60]} by {str(steps)[:60]}")
    for length, step in zip(shape, steps, strict=True):
        if type(length) is not int or not 0 <= length < 1 << 48:
            raise Forged(f"shape {str(shape)[:60]}")
        if type(step) is not int or not lowest <= step < 1 << 48:
            raise Forged(f"strides {str(steps)[:60]}")
    return math.prod(shape) * itemsize


def assign(own: Any, new: Any) -> None:
    """Write the numbers of `new` into `own`; where it is expanded, once."""
    if isinstance(own, np.ndarray):
        np.copyto(own, new)
        return
    for axis, (length, step) in enumerate(zip(own.shape, own.stride(), strict=True)):
        if length > 1 and not step:
            own, new = own.narrow(axis, 0, 1), new.narrow(axis, 0, 1)
    with torch.no_grad():
        own.copy_(new)


class Coverage:
    """Which bytes of a region belong to its leaves, and not to a gap between them."""

    def __init__(self, region: Region) -> None:
        self.bytes: Any = np.zeros(len(region.content), np.uint8)
        for one in region.members:
            steps, itemsize = byte_steps(one.leaf), one.leaf.itemsize
            self.at(one.leaf.shape, steps, itemsize, one.place[1])[...] = 1

    def at(self, shape, steps, itemsize: int, byte: int) -> np.ndarray:
        """The bytes of a leaf, one axis more; ValueError where they do not fit in."""
        return np.ndarray((*shape, itemsize), np.uint8, self.bytes, byte, (*steps, 1))
