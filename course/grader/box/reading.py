"""Reading a frame that anybody may have written: a plain value, or `Forged`.

    JSON, blobs ─ decode ─→ value        wire.py says what the nodes are

Read in order: `decode`, `_Decoder`.
"""

import dataclasses
import json
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from course.grader.box.regions import (
    ALIGNED,
    NUMPY_KINDS,
    TORCH_DTYPES,
    Forged,
    checked_shape,
    leaf_at,
)
from course.grader.box.sharing import Nothing, apart
from course.grader.box.wire import (
    DATACLASS_HOME,
    DOUBLE,
    MAX_BLOBS,
    MAX_DEPTH,
    MAX_KEYS,
    MAX_NODES,
    Stub,
)


class _Decoder:
    """Rebuilds a value from a tree that anybody may have written."""

    def __init__(self, blobs: memoryview, stub: Stub | None, shared: Nothing) -> None:
        self.blobs, self.stub, self.shared = blobs, stub, shared
        self.known = len(shared.regions)  # regions from an earlier frame
        self.used = self.nodes = self.keys = self.bytes = 0
        self.fresh: list[torch.Tensor] = []  # the regions that came with the frame

    def regions(self, claimed: Any) -> None:
        """Lay the regions of a frame into memory of their own."""
        contents = [self.blob(size) for size, _ in claimed]
        self.fresh = [laid(content, self.shared.compares) for content in contents]
        self.shared.unpacked(self.fresh, contents, [held for _, held in claimed])

    def value(self, node: Any, depth: int = 0) -> Any:
        """The value of a tagged node, or `Forged`."""
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise Forged(f"deeper than {MAX_DEPTH} or more than {MAX_NODES:,} nodes")
        match node:
            case ["n"]:
                return None
            case ["b", bool(flag)]:
                return flag
            case ["i", str(digits)] if len(digits) < 1 << 16:
                return int(digits, 16)
            case ["q", str(over), str(under)] if len(over + under) < 1 << 16:
                return Fraction(int(over, 16), int(under, 16))
            case ["f", str(digits)] if len(digits) == 2 * DOUBLE.size:
                return DOUBLE.unpack(bytes.fromhex(digits))[0]
            case ["s", str(text)]:
                return text
            case ["y", size]:
                return bytes(self.blob(size))
            case ["t", list(items)]:
                return tuple([self.value(item, depth + 1) for item in items])
            case ["dtype", str(name)]:
                return TORCH_DTYPES[name]
            case ["A", str(name), list(shape), list(steps), "scalar", place]:
                return self.array(name, shape, steps, place)[()]
            case ["D", str(module), str(name), dict(fields)]:
                return self.dataclass(module, name, fields, depth)
            case ["same", int(number)]:
                return self.shared.recall(number)
            case ["call", int(number)] if self.stub and not isinstance(number, bool):
                return self.stub(number)
        value = self.held(node, depth)
        self.shared.read(value)
        return value

    def held(self, node: Any, depth: int) -> Any:
        """The value of a node that stands for what can change in place."""
        match node:
            case ["T", str(name), list(shape), list(steps), bool(grad), place]:
                return self.tensor(name, shape, steps, grad, place)
            case ["A", str(name), list(shape), list(steps), ("w" | "r") as may, place]:
                array = self.array(name, shape, steps, place)
                array.flags.writeable = may == "w"
                return array
            case ["Y", size]:
                return bytearray(self.blob(size))
            case ["l", list(items)]:
                return [self.value(item, depth + 1) for item in items]
            case ["set", list(items)]:
                self.hashed(items)
                return set(apart([self.value(item, depth + 1) for item in items]))
            case ["d", list(pairs)]:
                self.hashed(pairs)
                found = [self.pair(pair, depth + 1) for pair in pairs]
                apart([key for key, _ in found])
                return dict(found)
        raise Forged(f"no such node: {str(node)[:60]}")

    def hashed(self, keys: list) -> None:
        """Count what has to be hashed."""
        self.keys += len(keys)
        if self.keys > MAX_KEYS:
            raise Forged(f"more than {MAX_KEYS:,} keys of sets and dicts")

    def pair(self, pair: Any, depth: int) -> tuple[Any, Any]:
        """A key and its value."""
        key, value = pair
        return self.value(key, depth), self.value(value, depth)

    def blob(self, size: Any) -> memoryview:
        """The next bytes behind the JSON: each is used once, in order."""
        if type(size) is not int or not 0 <= size <= len(self.blobs) - self.used:
            raise Forged(f"{str(size)[:20]} bytes are not there")
        self.used += size
        return self.blobs[self.used - size : self.used]

    def memory(self, shape: list, steps: list, itemsize: int, place: Any) -> tuple:
        """The memory that a leaf lies in, and its first byte there."""
        number, byte = place
        if type(number) is not int or type(byte) is not int or number < 0 or byte < 0:
            raise Forged("a place is two integers")
        if number < self.known:
            return self.shared.memory(number, shape, steps, itemsize, byte), byte
        return self.fresh[number - self.known], byte

    def count(self, shape: list, steps: list, itemsize: int, lowest: int) -> int:
        """The bytes of a leaf's elements, counted among all of the frame."""
        size = checked_shape(shape, steps, itemsize, lowest)
        self.bytes += size
        if self.bytes > MAX_BLOBS:
            raise Forged(f"elements of more than {MAX_BLOBS:,} bytes")
        return size

    def tensor(
        self, name: str, shape: list, steps: list, grad: bool, place: Any
    ) -> torch.Tensor:
        """A tensor on the CPU, in the memory of its region."""
        dtype = TORCH_DTYPES[name]
        if not self.count(shape, steps, dtype.itemsize, 0):
            whole = torch.empty_strided(shape, steps, dtype=dtype)
        else:
            wide = [step * dtype.itemsize for step in steps]
            memory, byte = self.memory(shape, wide, dtype.itemsize, place)
            whole = leaf_at(memory, "T", name, shape, steps, byte)
        return whole.requires_grad_() if grad and dtype.is_floating_point else whole

    def array(self, name: str, shape: list, steps: list, place: Any) -> np.ndarray:
        """An array in the memory of its region."""
        dtype = np.dtype(name) if len(name) < 8 else None
        if dtype is None or dtype.kind not in NUMPY_KINDS or dtype.hasobject:
            raise Forged(f"an array of {name[:20]!r}")
        if not self.count(shape, steps, dtype.itemsize, -1 << 48):
            return np.empty(shape, dtype)
        memory, byte = self.memory(shape, steps, dtype.itemsize, place)
        return leaf_at(memory, "A", name, shape, steps, byte)

    def dataclass(self, module: str, name: str, fields: dict, depth: int) -> Any:
        """A dataclass of `lib`, made by its own checks; no other name is looked up."""
        if module.partition(".")[0] != DATACLASS_HOME:
            raise Forged(f"a dataclass of {module[:40]!r}")
        kind = getattr(sys.modules.get(module), name, None)  # nothing is imported
        if not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
            raise Forged(f"{module}.{name[:40]} is no dataclass")
        known = {field.name for field in dataclasses.fields(kind) if field.init}
        if fields.keys() - known:
            raise Forged(f"{name} has no {sorted(fields.keys() - known)[0][:40]!r}")
        values = {key: self.value(node, depth + 1) for key, node in fields.items()}
        return kind(**values)


def laid(content: memoryview, twice: bool) -> torch.Tensor:
    """Memory with these bytes: their own, unless they are needed `twice`, or askew."""
    arrived = torch.frombuffer(content, dtype=torch.uint8)
    if not twice and not arrived.data_ptr() % ALIGNED:
        return arrived
    return torch.empty_like(arrived).copy_(arrived)


def decode(
    text: bytes,
    blobs: memoryview,
    stub: Stub | None = None,
    shared: Nothing | None = None,
) -> Any:
    """The value in a frame's JSON and blobs; `stub` makes the stand-in of a function.

    Raises `Forged` for anything that `encode` does not write.
    """
    if text.count(b"[") + text.count(b"{") > 2 * MAX_NODES:
        raise Forged(f"more than {2 * MAX_NODES:,} parts")  # before they are made
    try:
        frame = JSON.decode(str(text, "ascii"))
        if blobs.readonly:  # no tensor is made of that
            blobs = memoryview(bytearray(blobs))
        decoder = _Decoder(blobs, stub, shared or Nothing())
        decoder.regions(frame["regions"])
        return decoder.value(frame["value"])
    except Forged:
        raise
    except Exception as error:  # whatever went wrong, the sender's bytes did it
        raise Forged(f"{type(error).__name__}: {str(error)[:200]}") from None


def _no_constant(text: str) -> None:
    raise Forged(f"bare {text[:20]} in JSON")


JSON = json.JSONDecoder(parse_constant=_no_constant, parse_float=_no_constant)
