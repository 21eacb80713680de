"""What both sides of a call hold: the arguments, by number, and what became of them.

    tests: Sent ─ request ─→ Received: the student's side
    tests: Sent ←─ answer ── Received: the value, on the same memory; what has changed

An argument that a function changes in place is changed for the test afterwards, and a
value that is a view of an argument is one there, as if nothing lay between (but a list
inside a changed list has become a copy). What comes back is a claim: it may write into
the arguments and nowhere else, it is no larger than they are or than a frame, and
journal.py takes it back when the test is over.

Read in order: `Nothing`, `Received`, `Sent`.
"""

import ctypes
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch

from course.grader.box.regions import (
    Coverage,
    Forged,
    Leaf,
    Region,
    assign,
    leaf_at,
)

MAX_ALIKE = 16  # keys of one hash
libc = ctypes.CDLL(None)
libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
Node = list
Note = Callable[[Any], None]  # is told of an argument before it changes


class Nothing:
    """The case of a frame that stands alone: nothing is held on either side."""

    regions: list = []  # noqa: RUF012 (nobody adds to it)
    compares = False  # what came with what has become of it

    def number(self, value: Any) -> int | None:
        """The number of an object that the other side holds; asked while writing."""

    def wrote(self, value: Any, node: Node) -> None:
        """Note an object that was written."""

    def packed(self, regions: list[Region]) -> list[bool]:
        """Note the regions that were written; which of them an answer may lie in."""
        return [False] * len(regions)

    def here(self) -> list[tuple[int, int]]:
        """From where to where known regions lie; asked while writing."""
        return []

    def read(self, value: Any) -> None:
        """Note an object that was read."""

    def unpacked(self, memories: list, contents: list, held: list) -> None:
        """Note the regions that were read."""

    def recall(self, number: int) -> Any:
        """The object of that number; asked while reading."""
        raise Forged(f"no object {number} is held")

    def memory(self, number: int, shape, steps, itemsize: int, byte: int):
        """The memory of a known region, for elements that lie within its leaves."""
        raise Forged(f"no region {number} is held")


class Received(Nothing):
    """The student's side of a call."""

    compares = True

    def __init__(self) -> None:
        self.objects: list[tuple[Any, tuple]] = []  # and what each was
        self.leaves: dict[int, int] = {}
        self.regions = []

    def read(self, value: Any) -> None:
        """Number a leaf or a container, and remember what it is."""
        if isinstance(value, Leaf):
            self.leaves[id(value)] = len(self.objects)
        self.objects.append((value, state(value)))

    def unpacked(self, memories: list, contents: list, held: list) -> None:
        """Keep each region with the bytes that came for it."""
        self.regions = list(zip(memories, contents, held, strict=True))

    def recall(self, number: int) -> Any:
        """An argument that occurs a second time."""
        return self.objects[number][0]

    def number(self, value: Any) -> int | None:
        """A tensor or array that is an argument itself; containers go as they are."""
        return self.leaves.get(id(value))

    def here(self) -> list[tuple[int, int]]:
        """Where the regions lie that the answer may lie in."""
        return [
            (memory.data_ptr(), memory.data_ptr() + len(memory)) if held else (0, 0)
            for memory, _, held in self.regions
        ]

    def changes(self) -> tuple[list, list]:
        """The containers and shapes, and the regions, that are not what they were."""
        objects = [
            (number, contents(value))
            for number, (value, before) in enumerate(self.objects)
            if not same(state(value), before)
        ]
        regions = [
            (number, memory.numpy().tobytes())
            for number, (memory, before, _) in enumerate(self.regions)
            if not same_bytes(memory, before)
        ]
        return objects, regions


def same_bytes(now: torch.Tensor, before: memoryview) -> bool:
    """Whether a region holds what came for it: every call asks, of all it was given."""
    came = np.frombuffer(before, np.uint8)
    return not libc.memcmp(now.data_ptr(), came.ctypes.data, len(came))


def state(value: Any) -> tuple:
    """What of an object can change in place, but for the numbers in its memory."""
    match value:
        case torch.Tensor():
            shape = (*value.shape, *value.stride())
            return (*shape, value.data_ptr(), value.requires_grad)
        case dict():
            return tuple(chain.from_iterable(value.items()))
        case bytearray():
            return (bytes(value),)
        case list() | set():
            return tuple(value)
    return ()


def same(now: tuple, before: tuple) -> bool:
    """Whether two states are one: an object in it is itself, a number is equal."""
    return len(now) == len(before) and all(
        a is b or (type(a) is type(b) in (int, bool, bytes) and a == b)
        for a, b in zip(now, before, strict=True)
    )


def contents(value: Any) -> Any:
    """What a changed object is now: as `Sent.replace` takes it."""
    if not isinstance(value, torch.Tensor):
        return state(value)
    alias = value.detach()
    return alias.requires_grad_() if value.requires_grad else alias


class Sent(Nothing):
    """The tests' side of a call."""

    def __init__(self) -> None:
        self.objects: list[tuple[Any, Node]] = []
        self.numbers: dict[int, int] = {}
        self.regions: list[Region] = []
        self.holders: list[torch.Tensor | None] = []
        self.coverages: dict[int, Coverage] = {}

    def number(self, value: Any) -> int | None:
        """An argument that was written before."""
        return self.numbers.get(id(value))

    def wrote(self, value: Any, node: Node) -> None:
        """Number a leaf or a container."""
        self.numbers[id(value)] = len(self.objects)
        self.objects.append((value, node))

    def packed(self, regions: list[Region]) -> list[bool]:
        """Keep the regions, and the tests' own memory of each where that is whole."""
        self.regions, self.holders = regions, list(map(holder, regions))
        return [memory is not None for memory in self.holders]

    def recall(self, number: int) -> Leaf:
        """The test's own tensor or array; `Forged` for what is none."""
        if not 0 <= number < len(self.objects):
            raise Forged(f"no object {number} was sent")
        value, _ = self.objects[number]
        if not isinstance(value, Leaf):
            raise Forged(f"object {number} is no tensor")
        return value

    def memory(self, number: int, shape, steps, itemsize: int, byte: int):
        """The test's own memory, for a view of what was sent, and of no gap in it."""
        if not 0 <= number < len(self.regions) or self.holders[number] is None:
            raise Forged(f"no region {number} was sent to be held")
        if number not in self.coverages:
            self.coverages[number] = Coverage(self.regions[number])
        if not self.coverages[number].at(shape, steps, itemsize, byte).all():
            raise Forged(f"bytes of region {number} that were not sent")
        return self.holders[number]

    def write_back(self, changes: Any, note: Note) -> None:
        """Change the arguments as the other side claims that they have changed.

        Raises `Forged` for a change that no function could make.
        """
        try:
            objects, regions = changes
            for number, content in regions:
                self.fill(number, content, note)
            for number, new in objects:
                self.replace(number, new, note)
        except Forged:
            raise
        except (TypeError, ValueError, RuntimeError, IndexError) as error:
            raise Forged(f"a change of arguments: {str(error)[:100]}") from None

    def fill(self, number: int, content: bytes, note: Note) -> None:
        """Write new numbers into every leaf of a region, and nowhere else."""
        if not 0 <= number < len(self.regions) or type(content) is not bytes:
            raise Forged("new bytes of no region")
        if len(content) != len(self.regions[number].content):
            raise Forged(f"region {number} has become {len(content):,} bytes")
        memory = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        for own, node in self.objects:
            if isinstance(own, Leaf) and node[-1][:1] == [number]:
                note(own)
                tag, name, shape, steps = node[:4]
                assign(own, leaf_at(memory, tag, name, shape, steps, node[-1][1]))

    def replace(self, number: int, new: Any, note: Note) -> None:
        """Give a container other items, or a tensor another shape."""
        own, _ = self.objects[number if number >= 0 else len(self.objects)]
        match own, new:
            case torch.Tensor(), torch.Tensor() if own.dtype == new.dtype:
                note(own)
                own.data = new.detach()
                if own.is_leaf and own.is_floating_point():
                    own.requires_grad_(new.requires_grad)
            case (list() | bytearray(), tuple()):
                note(own)
                own[:] = new if isinstance(own, list) else new[0]
            case dict(), tuple():
                note(own)
                items = dict(zip(apart(new[::2]), new[1::2], strict=True))
                own.clear()
                own.update(items)
            case set(), tuple():
                note(own)
                members = set(apart(new))
                own.clear()
                own.update(members)
            case _:
                raise Forged(f"object {number} cannot become a {type(new).__name__}")


def apart(keys: Sequence) -> Sequence:
    """`keys` of a set or dict, few of one hash: each is compared with all like it."""
    most = max(Counter(map(hash, keys)).values(), default=0)
    if most > MAX_ALIKE:
        raise Forged(f"{most:,} keys of one hash")
    return keys


def holder(region: Region) -> torch.Tensor | None:
    """The memory of a region as bytes that keep it alive; None for a copy of it."""
    for one in region.members:
        if one.copied:
            return None
    leaf = region.members[0].leaf
    if isinstance(leaf, np.ndarray):
        while isinstance(leaf.base, np.ndarray):
            leaf = leaf.base
        if not (leaf.flags.c_contiguous and leaf.flags.writeable):
            return None
        leaf = torch.from_numpy(leaf.reshape(-1).view(np.uint8))
    storage = leaf.untyped_storage()
    start, size = region.start - storage.data_ptr(), len(region.content)
    if start < 0 or start + size > storage.nbytes():
        return None
    return torch.empty(0, dtype=torch.uint8).set_(storage, start, (size,), (1,))
