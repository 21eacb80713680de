"""wire: what was sent is what arrives; whatever arrives, nothing else is built."""

import array as arrays_of_python
import json
import math
import socket
import struct
import threading
import time
from collections import UserDict, UserList, UserString, deque
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import count

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, scalar_dtypes

from course.grader.box.channel import Channel, Closed
from course.grader.box.reading import decode
from course.grader.box.regions import TORCH_DTYPES, Forged, Unsendable
from course.grader.box.wire import HEADER, encode
from lib.formats import FP8_E4M3, FloatFormat


def there_and_back(value, stub=None, callables=None):
    header, text, *blobs = encode(value, callables)
    body = b"".join(blobs)
    assert HEADER.unpack(header) == (len(text), len(body))
    return decode(text, memoryview(body), stub)


def same(a, b):
    """Equal in type, value and bits: NaN is NaN, −0 is −0."""
    if isinstance(a, float):
        return type(a) is type(b) and struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, list | tuple):
        pairs = zip(a, b, strict=False)
        alike = type(a) is type(b) and len(a) == len(b)
        return alike and all(same(x, y) for x, y in pairs)
    if isinstance(a, dict):
        return same([*a.items()], [*b.items()])
    return type(a) is type(b) and a == b


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text() | st.tuples(st.integers()), inner)
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_arrive_as_they_were(value):
    assert same(there_and_back(value), value)


@pytest.mark.parametrize("name", TORCH_DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_tensors_arrive_bit_for_bit(name, shape):
    dtype = TORCH_DTYPES[name]
    raw = torch.randint(0, 256, (math.prod(shape) * dtype.itemsize,)).to(torch.uint8)
    if dtype == torch.bool:
        raw %= 2
    sent = raw.view(dtype).reshape(shape)
    got = there_and_back(sent)
    assert got.dtype == dtype and got.shape == sent.shape
    assert torch.equal(got.reshape(-1).view(torch.uint8), raw)


def test_gradients_are_asked_for_where_they_were():
    got = there_and_back(torch.randn(4, 6, requires_grad=True))
    assert got.requires_grad and got.is_leaf


@given(arrays(scalar_dtypes(), (2, 3)))
def test_arrays_arrive_bit_for_bit(sent):
    if sent.dtype.kind not in "biufc":
        with pytest.raises(Unsendable):
            encode(sent)
        return
    got = there_and_back(sent)
    assert got.shape == sent.shape and got.tobytes() == sent.astype(got.dtype).tobytes()
    scalar = there_and_back(sent[0, 0])
    assert isinstance(scalar, np.generic) and scalar.tobytes() == got[0, 0].tobytes()


def test_a_dataclass_of_lib_arrives_through_its_own_checks():
    assert there_and_back([FP8_E4M3]) == [FP8_E4M3]
    _, text = encode(FP8_E4M3)
    forged = json.loads(text)["value"]
    forged[3]["exponent_bits"] = ["i", "0x63"]
    with pytest.raises(Forged, match="99 exponent"):
        decode(*frame(forged))


def test_functions_cross_as_numbers_only():
    callables = []
    got = there_and_back([len, max], lambda number: f"stub {number}", callables)
    assert got == ["stub 0", "stub 1"] and callables == [len, max]
    with pytest.raises(Unsendable):
        encode(len)


@dataclass
class Foreign:
    x: int = 1


@pytest.mark.parametrize("value", [object(), Foreign(), 1j, Exception("no")])
def test_what_is_no_plain_value_is_not_sent(value):
    with pytest.raises(Unsendable, match=r"cannot cross|no dataclass of lib"):
        encode(value)


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Fraction(-2, 6), Fraction(-1, 3)),
        (Decimal("0.1"), Fraction(1, 10)),
        (UserList([1, UserString("a")]), [1, "a"]),
        (UserDict(a=range(2)), {"a": (0, 1)}),
        ((x for x in "ab"), ("a", "b")),
        (map(int, "12"), (1, 2)),
        ({1: 2}.values(), (2,)),
        (deque([1.5]), (1.5,)),
        (arrays_of_python.array("d", [1.5]), (1.5,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_nearly_plain_arrives_as_its_equal(value, arrives):
    assert same(there_and_back(value), arrives)


@pytest.mark.parametrize(
    "value", [count(), [0] * 600_000, range(10**9), Decimal("1E+5000"), Decimal("NaN")]
)
def test_what_would_fill_the_memory_is_not_sent(value):
    with pytest.raises(Unsendable):
        encode(value)


def test_a_list_in_itself_is_not_sent():
    loop = []
    loop.append(loop)
    with pytest.raises(Unsendable, match="deep"):
        encode(loop)


def frame(tree, regions=(), blobs=b""):
    """What a sender of that tree would send."""
    text = {"regions": regions, "value": tree}
    return json.dumps(text).encode(), memoryview(bytearray(blobs))


def leaf(name="float32", shape=(1,), steps=(1,), place=(0, 0)):
    return ["T", name, list(shape), list(steps), False, list(place)]


def array(name="<f4", shape=(1,), steps=(4,), place=(0, 0)):
    return ["A", name, list(shape), list(steps), "w", list(place)]


FORGED = [
    ["i", "7; import os"],
    ["f", "nan" * 40],
    ["f", "0x1.8p+1"],
    ["f", "40 08 0000000000"],
    leaf(shape=[1 << 40]),
    leaf(shape=[1 << 40], steps=[0]),  # four bytes, and yet it never ends
    leaf(shape=[-1]),
    leaf(shape=[True]),
    leaf(shape=[2]),
    leaf(shape=[2], steps=[-1]),
    leaf(shape=[2], steps=[1 << 62]),
    leaf(shape=[1], steps=[]),
    leaf(shape=[1] * 20, steps=[1] * 20),
    leaf(name="object"),
    leaf(name="float64"),
    leaf(place=[1, 0]),
    leaf(place=[-1, 0]),
    leaf(place=[0, -4]),
    leaf(place=[0, 2]),
    leaf(place=[0, 4]),
    leaf(place=[0, True]),
    leaf(place=[]),
    leaf(place=["0", 0]),
    array(name="|O8"),
    array(name="V4"),
    array(name="<f8"),
    array(shape=[2]),
    array(shape=[2], steps=[-4]),
    array(shape=[1 << 40], steps=[0]),
    array(place=[0, 1]),
    array(place=[1, 0]),
    ["same", 0],
    ["same", -1],
    ["y", 4],
    ["y", -1],
    ["y", True],
    ["q", "0x1", "0x0"],
    ["q", "0x" + "f" * (1 << 16), "0x1"],
    ["D", "os", "system", {}],
    ["D", "lib.formats", "torch", {}],
    ["D", "lib.formats", "FloatFormat", {"name": ["s", "x"], "evil": ["n"]}],
    ["D", "lib.nowhere", "Thing", {}],
    ["call", 0],
    ["set", [["l", []]]],
    ["set", [["i", hex(k * (2**61 - 1))] for k in range(20)]],
    ["d", [[["q", hex(k), hex(2**61 - 1)], ["n"]] for k in range(1, 40)]],
    ["d", [[["l", []], ["n"]]]],
    ["pickle", "gASVKAAAAAAAAAB9"],
    {},
    None,
    7,
]


@pytest.mark.parametrize("tree", FORGED, ids=lambda tree: str(tree)[:40])
def test_a_forged_tree_is_refused(tree):
    with pytest.raises(Forged):
        decode(*frame(tree, [[4, False]], b"abcd"))


@pytest.mark.parametrize(
    "regions", [[[5, False]], [[-1, False]], [[1 << 60, False]], [[True]], [4], None]
)
def test_forged_regions_are_refused(regions):
    with pytest.raises(Forged):
        decode(*frame(["n"], regions, b"abcd"))


def test_one_region_is_not_read_a_hundred_times():
    """Many views of one megabyte would come to gigabytes in a test's hands."""
    view = leaf("uint8", [1 << 20], [1])
    with pytest.raises(Forged, match="elements of more than"):
        decode(*frame(["l", [view] * 200], [[1 << 20, False]], bytes(1 << 20)))


def test_nesting_and_numbers_that_blow_up_are_refused():
    for text in (
        b"[" * 100_000,
        b'["l",[' * 90 + b"]]" * 90,
        b"NaN",
        b"1e999",
        b"\xff",
    ):
        with pytest.raises(Forged):
            decode(text, memoryview(b""))


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
)
LONG_TAGS = ("set", "d", "dtype", "T", "A", "D", "call")
TAGGED = st.recursive(
    st.sampled_from(["n", "b", "i", "f", "s", "y", "l", "t", *LONG_TAGS]).flatmap(
        lambda tag: st.tuples(st.just(tag), TREES, TREES).map(list)
    )
    | TREES,
    lambda inner: st.lists(inner),
)


@given(TAGGED, st.binary(max_size=64))
@settings(max_examples=300)
def test_any_tree_gives_a_plain_value_or_is_refused(tree, blobs):
    try:
        value = decode(*frame(tree, [[len(blobs), False]] if blobs else [], blobs))
    except Forged:
        return
    encode(value)  # plain: it could be sent on


# ------------------------------------------------------------------ the channel


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


def test_frames_keep_their_order_and_size(pair):
    channel, theirs = pair
    other = Channel(theirs)
    values = [torch.arange(300_000), "x" * 100_000, None]
    sender = threading.Thread(target=lambda: [other.send(value) for value in values])
    sender.start()
    got = [channel.receive(deadline=time.monotonic() + 20) for _ in values]
    sender.join()
    assert torch.equal(got[0], values[0]) and got[1:] == values[1:]


def test_a_giant_frame_is_refused_before_it_is_read(pair):
    channel, theirs = pair
    theirs.sendall(HEADER.pack(2**32 - 1, 2**63))
    with pytest.raises(Forged, match="frame of"):
        channel.receive(deadline=time.monotonic() + 5)


def test_half_a_frame_is_a_timeout_and_a_hang_up_is_closed(pair):
    channel, theirs = pair
    theirs.sendall(HEADER.pack(100, 0) + b"half")
    with pytest.raises(TimeoutError):
        channel.receive(deadline=time.monotonic() + 0.05)
    theirs.shutdown(socket.SHUT_RDWR)
    with pytest.raises(Closed):
        channel.receive(deadline=time.monotonic() + 5)


def test_a_reader_that_never_reads_is_a_timeout(pair):
    channel, _ = pair
    with pytest.raises(TimeoutError):
        channel.send(torch.zeros(10_000_000), deadline=time.monotonic() + 0.1)


def test_formats_have_no_code_of_their_own_on_the_wire():
    _, text = encode(FloatFormat("x", 4, 3, specials="nan"))
    assert json.loads(text)["value"][:3] == ["D", "lib.formats.floating", "FloatFormat"]
