"""Values as plain bytes: all that passes between the tests and a student's code.

    frame = JSON length (4 bytes) | blobs' length (8 bytes) | JSON | blobs

The JSON is a tree of tagged nodes, `["i", "7"]`, and a tensor is a dtype, a shape and a
blob. Nothing is ever unpickled or looked up by a name of the sender's choice, so that
whatever bytes arrive, decoding builds numbers, strings, containers, tensors, arrays,
dataclasses of `lib` and stand-ins for functions, or raises `Forged`.

Read in order: `encode`, `decode`.  channel.py sends the frames.
"""

import dataclasses
import json
import math
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

HEADER = struct.Struct("!IQ")  # bytes of JSON, bytes of blobs
DOUBLE = struct.Struct("!d")  # a float's own bits, a NaN's sign among them
MAX_JSON = 16 << 20  # as Python objects, JSON takes up to 20 times its bytes
MAX_BLOBS = 128 << 20  # and `tolist` makes 8 to 32 bytes of one
MAX_DEPTH = 40
MAX_NODES = 500_000  # what is long goes as a tensor
MAX_KEYS = 20_000  # of all sets and dicts: numbers that collide cost their square
MAX_DIMENSIONS = 16
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
DATACLASS_HOME = "lib"

Node = list
Stub = Callable[[int], Callable[..., Any]]


class Forged(ValueError):  # noqa: N818 (it is what the sender did, not a slip of ours)
    """Bytes that no honest sender would send."""


class Unsendable(TypeError):  # noqa: N818
    """A value of a type that does not cross."""


class _Encoder:
    """Turns one value into a tree and the blobs that it points to."""

    def __init__(self, callables: list[Callable[..., Any]] | None) -> None:
        self.blobs: list[memoryview] = []
        self.size = 0  # of all blobs
        self.callables = callables

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
            case bytes() | bytearray():
                return ["y", self.blob(bytes(value))]
            case torch.Tensor():
                return self.tensor(value)
            case np.ndarray() | np.generic():
                return self.array(value)
            case torch.dtype():
                return ["dtype", str(value).removeprefix("torch.")]
            case list() | tuple() | set() | frozenset():
                return self.sequence(value, depth)
            case dict():
                pairs = value.items()
                return ["d", [[self.node(x, depth + 1) for x in kv] for kv in pairs]]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.dataclass(value, depth)
        if callable(value) and self.callables is not None:
            self.callables.append(value)
            return ["call", len(self.callables) - 1]
        kind = type(value)
        raise Unsendable(f"a {kind.__module__}.{kind.__qualname__} is no plain value")

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
        """Dtype, shape, requires_grad, and the elements in row-major order."""
        name = str(value.dtype).removeprefix("torch.")
        if name not in TORCH_DTYPES or value.layout != torch.strided:
            raise Unsendable(f"a tensor of {value.dtype}, {value.layout}")
        dense = value.detach().cpu().contiguous().resolve_conj().resolve_neg()
        flat = dense.reshape(-1).view(torch.uint8).numpy()
        shape = list(value.shape)
        return ["T", name, shape, bool(value.requires_grad), self.blob(flat.data)]

    def array(self, value: np.ndarray | np.generic) -> Node:
        """Dtype, shape, whether it is a scalar, and the elements in row-major order."""
        if value.dtype.kind not in NUMPY_KINDS:
            raise Unsendable(f"an array of {value.dtype}")
        little = value.dtype.newbyteorder("<")
        dense = np.ascontiguousarray(value, little).reshape(-1).view(np.uint8)
        scalar = isinstance(value, np.generic)
        return ["A", little.str, list(value.shape), scalar, self.blob(dense.data)]

    def blob(self, content: bytes | memoryview) -> list[int]:
        """Keep `content` to be sent behind the JSON; its number and length."""
        view = memoryview(content)
        self.blobs.append(view)
        self.size += view.nbytes
        return [len(self.blobs) - 1, view.nbytes]


def encode(
    value: Any, callables: list[Callable[..., Any]] | None = None
) -> list[bytes | memoryview]:
    """The pieces of the frame that holds `value`; functions go to `callables`.

    Raises `Unsendable` for what is no plain value, and for frames over the limits.
    """
    encoder = _Encoder(callables)
    try:
        text = json.dumps(encoder.node(value)).encode()
        parts = text.count(b"[")
    except RecursionError:
        raise Unsendable(f"nested more than {MAX_DEPTH} deep") from None
    size = encoder.size
    if len(text) > MAX_JSON or size > MAX_BLOBS or parts > 2 * MAX_NODES:
        raise Unsendable(f"{len(text) + size:,} bytes are too many to send")
    return [HEADER.pack(len(text), size), text, *encoder.blobs]


class _Decoder:
    """Rebuilds a value from a tree that anybody may have written."""

    def __init__(self, blobs: memoryview, stub: Stub | None) -> None:
        self.blobs, self.stub = blobs, stub
        self.used = self.nodes = self.next_blob = self.keys = 0

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
            case ["f", str(digits)] if len(digits) == 2 * DOUBLE.size:
                return DOUBLE.unpack(bytes.fromhex(digits))[0]
            case ["s", str(text)]:
                return text
            case ["y", place]:
                return bytes(self.blob(place))
            case ["l", list(items)]:
                return [self.value(item, depth + 1) for item in items]
            case ["t", list(items)]:
                return tuple([self.value(item, depth + 1) for item in items])
            case ["set", list(items)]:
                self.hashed(items)
                return {self.value(item, depth + 1) for item in items}
            case ["d", list(pairs)]:
                self.hashed(pairs)
                return dict([self.pair(pair, depth + 1) for pair in pairs])
            case ["dtype", str(name)]:
                return TORCH_DTYPES[name]
            case ["T", str(name), list(shape), bool(grad), place]:
                return self.tensor(name, shape, grad, place)
            case ["A", str(name), list(shape), bool(scalar), place]:
                return self.array(name, shape, scalar, place)
            case ["D", str(module), str(name), dict(fields)]:
                return self.dataclass(module, name, fields, depth)
            case ["call", int(number)] if self.stub and not isinstance(number, bool):
                return self.stub(number)
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

    def blob(self, place: Any) -> memoryview:
        """The next blob: each is used once, in order, so that none counts twice."""
        number, size = place
        if type(number) is not int or type(size) is not int:
            raise Forged("a blob's place is two integers")
        if number != self.next_blob or not 0 <= size <= len(self.blobs) - self.used:
            raise Forged(f"blob {number} of {size} bytes is not there")
        self.next_blob += 1
        self.used += size
        return self.blobs[self.used - size : self.used]

    def elements(self, shape: list, itemsize: int, place: Any) -> memoryview:
        """The blob of an array of that shape."""
        if len(shape) > MAX_DIMENSIONS or any(
            type(length) is not int or not 0 <= length < 1 << 48 for length in shape
        ):
            raise Forged(f"shape {str(shape)[:60]}")
        content = self.blob(place)
        if math.prod(shape) * itemsize != len(content):
            raise Forged(f"shape {shape} of {itemsize} bytes is not {len(content)}")
        return content

    def tensor(self, name: str, shape: list, grad: bool, place: Any) -> torch.Tensor:
        """A fresh tensor on the CPU."""
        dtype = TORCH_DTYPES[name]
        content = self.elements(shape, dtype.itemsize, place)
        flat = torch.empty(len(content), dtype=torch.uint8)
        flat.numpy()[:] = np.frombuffer(content, np.uint8)
        if dtype == torch.bool:
            flat.clamp_(max=1)  # a byte of 7 is a truth that torch trips over
        whole = flat.view(dtype).reshape(shape)
        return whole.requires_grad_() if grad and dtype.is_floating_point else whole

    def array(self, name: str, shape: list, scalar: bool, place: Any) -> Any:
        """A fresh array, or the one scalar in it."""
        dtype = np.dtype(name) if len(name) < 8 else None
        if dtype is None or dtype.kind not in NUMPY_KINDS or dtype.hasobject:
            raise Forged(f"an array of {name[:20]!r}")
        content = self.elements(shape, dtype.itemsize, place)
        raw = np.frombuffer(content, np.uint8).copy()
        whole = (raw != 0 if dtype.kind == "b" else raw.view(dtype)).reshape(shape)
        return whole[()] if scalar and not shape else whole

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


def decode(text: bytes, blobs: memoryview, stub: Stub | None = None) -> Any:
    """The value in a frame's JSON and blobs; `stub` makes the stand-in of a function.

    Raises `Forged` for anything that `encode` does not write.
    """
    if text.count(b"[") + text.count(b"{") > 2 * MAX_NODES:
        raise Forged(f"more than {2 * MAX_NODES:,} parts")  # before they are made
    try:
        tree = json.loads(
            str(text, "ascii"), parse_constant=_no_constant, parse_float=_no_constant
        )
        return _Decoder(blobs, stub).value(tree)
    except Forged:
        raise
    except Exception as error:  # whatever went wrong, the sender's bytes did it
        raise Forged(f"{type(error).__name__}: {str(error)[:200]}") from None


def _no_constant(text: str) -> None:
    raise Forged(f"bare {text[:20]} in JSON")
