"""Values as plain bytes: all that passes between the tests and a student's code.

    frame = JSON length (4 bytes) | blobs' length (8 bytes) | JSON | blobs
    JSON  = {"regions": [[bytes, held], ...], "value": node}

The value is a tree of tagged nodes, `["i", "7"]`, and a tensor is a dtype, a shape and
a place in a region of memory (regions.py). Nothing is ever unpickled or looked up by a
name of the sender's choice, so that whatever bytes arrive, decoding builds numbers,
strings, containers, tensors, arrays, dataclasses of `lib` and stand-ins for functions,
or raises `Forged`. What the two sides of a call share is sharing.py's.

Read in order: `encode`, then `decode` (reading.py).  channel.py sends the frames.
"""

import dataclasses
import json
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from course.grader.box.likeness import likeness
from course.grader.box.regions import (
    MAX_BYTES,
    NUMPY_KINDS,
    TORCH_DTYPES,
    Packer,
    Unsendable,
)
from course.grader.box.sharing import Nothing

HEADER = struct.Struct("!IQ")  # bytes of JSON, bytes of blobs
DOUBLE = struct.Struct("!d")  # a float's own bits, a NaN's sign among them
MAX_JSON = 16 << 20  # as Python objects, JSON takes up to 20 times its bytes
MAX_BLOBS = MAX_BYTES  # and `tolist` makes 8 to 32 bytes of one
MAX_DEPTH = 40
MAX_NODES = 500_000  # what is long goes as a tensor
MAX_KEYS = 20_000  # of all sets and dicts: numbers that collide cost their square
DATACLASS_HOME = "lib"

Node = list
Stub = Callable[[int], Callable[..., Any]]


class _Encoder:
    """Turns one value into a tree, and the bytes that it points to."""

    def __init__(self, callables: list[Callable[..., Any]] | None, shared: Nothing):
        self.callables, self.shared = callables, shared
        self.packer = Packer(shared.here())
        self.texts: list[bytes] = []  # the bytes objects, in their order

    def node(self, value: Any, depth: int = 0) -> Node:
        """The tagged node of `value`."""
        if depth > MAX_DEPTH:
            raise Unsendable(f"nested more than {MAX_DEPTH} deep (or in itself)")
        match value:
            case None:
                return ["n"]
            case bool():
                return ["b", value]
            case int():
                return ["i", hex(value)]
            case float() if not isinstance(value, np.generic):
                return ["f", DOUBLE.pack(value).hex()]
            case str():
                return ["s", str(value)]
            case bytes():
                return ["y", self.text(value)]
            case torch.dtype():
                return ["dtype", str(value).removeprefix("torch.")]
            case np.generic():
                return self.array(np.asarray(value), scalar=True)
            case Fraction():
                return ["q", hex(value.numerator), hex(value.denominator)]
            case tuple() | frozenset():
                return self.sequence(value, depth)
        if (number := self.shared.number(value)) is not None:
            return ["same", number]
        if (node := self.held(value, depth)) is not None:
            self.shared.wrote(value, node)
            return node
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.dataclass(value, depth)
        if callable(value) and self.callables is not None:
            self.callables.append(value)
            return ["call", len(self.callables) - 1]
        return self.node(likeness(value, MAX_NODES), depth + 1)

    def held(self, value: Any, depth: int) -> Node | None:
        """The node of what can change in place; None for anything else."""
        match value:
            case torch.Tensor():
                return self.tensor(value)
            case np.ndarray():
                return self.array(value)
            case bytearray():
                return ["Y", self.text(bytes(value))]
            case list() | set():
                return self.sequence(value, depth)
            case dict():
                pairs = value.items()
                return ["d", [[self.node(x, depth + 1) for x in kv] for kv in pairs]]
        return None

    def sequence(self, value: Any, depth: int) -> Node:
        """A list, a tuple (torch.Size too) or a set."""
        tags: dict[type, str] = {list: "l", set: "set", frozenset: "set"}
        tag = tags.get(type(value), "t")
        return [tag, [self.node(item, depth + 1) for item in value]]

    def dataclass(self, value: Any, depth: int) -> Node:
        """A dataclass of `lib`, by its fields."""
        kind = type(value)
        if kind.__module__.partition(".")[0] != DATACLASS_HOME:
            raise Unsendable(f"{kind.__qualname__} is no dataclass of {DATACLASS_HOME}")
        fields = {
            field.name: self.node(getattr(value, field.name), depth + 1)
            for field in dataclasses.fields(value)
            if field.init
        }
        return ["D", kind.__module__, kind.__qualname__, fields]

    def tensor(self, value: torch.Tensor) -> Node:
        """Dtype, shape, strides, requires_grad, and where its elements are."""
        name = str(value.dtype).removeprefix("torch.")
        if name not in TORCH_DTYPES or value.layout != torch.strided:
            raise Unsendable(f"a tensor of {value.dtype}, {value.layout}")
        plain = value.detach().cpu().resolve_conj().resolve_neg()
        copied = plain.data_ptr() != value.data_ptr()
        leaf, place = self.packer.add(plain, copied=copied)
        shape, steps, grad = list(leaf.shape), list(leaf.stride()), value.requires_grad
        return ["T", name, shape, steps, bool(grad), place]

    def array(self, value: np.ndarray, *, scalar: bool = False) -> Node:
        """Dtype, shape, strides, whether it is a scalar or may be written to, where."""
        if value.dtype.kind not in NUMPY_KINDS:
            raise Unsendable(f"an array of {value.dtype}")
        little = value.dtype.newbyteorder("<")
        plain = value.astype(little, copy=False)
        leaf, place = self.packer.add(plain, copied=plain is not value)
        flags = "scalar" if scalar else "w" if value.flags.writeable else "r"
        return ["A", little.str, list(leaf.shape), list(leaf.strides), flags, place]

    def text(self, content: bytes) -> int:
        """Keep `content` to be sent behind the JSON; its length."""
        self.texts.append(content)
        return len(content)


def encode(
    value: Any,
    callables: list[Callable[..., Any]] | None = None,
    shared: Nothing | None = None,
) -> list[bytes | memoryview]:
    """The pieces of the frame that holds `value`; functions go to `callables`.

    Raises `Unsendable` for what is no plain value, and for frames over the limits.
    """
    shared = shared or Nothing()
    encoder = _Encoder(callables, shared)
    try:
        tree = encoder.node(value)
        regions = encoder.packer.pack()  # which fills in the places
        sizes = [len(region.content) for region in regions]
        held = shared.packed(regions)
        frame = {"regions": [*zip(sizes, held, strict=True)], "value": tree}
        text = json.dumps(frame).encode()
        parts = text.count(b"[")
    except RecursionError:
        raise Unsendable(f"nested more than {MAX_DEPTH} deep") from None
    size = sum(sizes) + sum(map(len, encoder.texts))
    if len(text) > MAX_JSON or size > MAX_BLOBS or parts > MAX_NODES:
        raise Unsendable(f"{len(text) + size:,} bytes in {parts:,} parts: too much")
    contents = [region.content for region in regions]
    return [HEADER.pack(len(text), size), text, *contents, *encoder.texts]
