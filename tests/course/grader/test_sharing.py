"""Through the wire a call is Python's: views, changes in place, what is one object."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course.grader.box import journal as journals
from course.grader.box.journal import Journal
from course.grader.box.reading import decode
from course.grader.box.regions import Forged, Unsendable
from course.grader.box.sharing import Received, Sent
from course.grader.box.wire import encode


def crossed(pieces, stub, shared):
    _, text, *blobs = pieces
    return decode(bytes(text), memoryview(bytearray(b"".join(blobs))), stub, shared)


def call(function, *args, journal=None):
    """The value of a function that got its arguments over the wire."""
    sent, received = Sent(), Received()
    inside = crossed(encode(args, None, sent), None, received)
    value = function(*inside)
    answer = encode((value, received.changes()), None, received)
    value, changes = crossed(answer, None, sent)
    sent.write_back(changes, (journal or Journal()).note)
    return value


# ------------------------------------------------------------------ as in Python


@st.composite
def view_of(draw, base):
    """`base` cut, turned and expanded."""
    view = base
    for _ in range(draw(st.integers(0, 3))):
        axis = draw(st.integers(0, view.ndim - 1)) if view.ndim else 0
        match draw(st.sampled_from(["turn", "cut", "pick", "expand", "bytes"])):
            case "turn" if view.ndim > 1:
                view = view.transpose(axis, 0)
            case "cut" if view.ndim:
                start, step = draw(st.integers(0, 2)), draw(st.integers(1, 3))
                cut = slice(start, None, step)
                view = view[(slice(None),) * axis + (cut,)]
            case "pick" if view.ndim and view.shape[axis]:
                view = view.select(axis, draw(st.integers(0, view.shape[axis] - 1)))
            case "expand":
                view = view.unsqueeze(0).expand(2, *view.shape)
            case "bytes" if view.is_contiguous() and view.ndim:
                view = view.view(torch.uint8)
    return view


@st.composite
def views(draw):
    """Some views of one or two tensors."""
    dtype = draw(st.sampled_from([torch.float32, torch.int16, torch.uint8]))
    bases = [torch.arange(24).reshape(shape).to(dtype) for shape in ((4, 6), (2, 3, 4))]
    return [draw(view_of(bases[draw(st.integers(0, 1))])) for _ in range(3)]


def overlap(tensors):
    """Which bytes of memory two tensors have in common, of all pairs, in number."""

    def places(x):
        index = np.zeros((), np.int64)
        for length, step in zip(x.shape, x.stride(), strict=True):
            index = index[..., None] + np.arange(length) * step * x.itemsize
        index = index[..., None] + np.arange(x.itemsize)
        return set((index + x.data_ptr()).ravel().tolist())

    sets = list(map(places, tensors))
    return [len(a & b) for a in sets for b in sets]


@given(views())
def test_views_arrive_as_views_of_one_another(sent):
    got = crossed(encode(sent), None, None)
    for a, b in zip(got, sent, strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)
        assert a.numel() == 0 or a.stride() == b.stride()
    assert overlap(got) == overlap(sent)


def change(kind, axis, xs):
    """One of the things that a function does to its arguments, and what it returns."""
    x = xs[axis]
    match kind:
        case "nothing":
            return x
        case "add":
            if x.numel() and 0 not in x.stride():
                x.add_(1)
        case "write":
            if x.numel():
                x[(0,) * x.ndim] = 7
            return x.T if x.ndim == 2 else x
        case "copy":
            if xs[0].shape == xs[1].shape and 0 not in xs[0].stride():
                xs[0].copy_(xs[1].clone())
        case "longer":
            x.unsqueeze_(0)
            return x[0]
        case "last":
            return [x, xs[-1], x.reshape(-1)[1:]]
    return None


KINDS = ["nothing", "add", "write", "copy", "longer", "last"]


@given(views(), st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2))))
def test_what_a_function_does_in_place_is_done_here_as_in_python(args, steps):
    """Through the wire and without it: the same values, strides and overlaps."""
    plain = copy.deepcopy(args)
    for kind, axis in steps:
        far = call(lambda *xs, k=kind, a=axis: change(k, a, xs), *args)
        near = change(kind, axis, plain)
        far, near = (
            [x] if isinstance(x, torch.Tensor) else x or [] for x in (far, near)
        )
        for a, b in zip([*args, *far], [*plain, *near], strict=True):
            assert a.shape == b.shape and torch.equal(a, b)
            assert a.numel() == 0 or a.stride() == b.stride()
        assert overlap([*args, *far]) == overlap([*plain, *near])


def test_containers_change_and_stay_themselves():
    inner = [1.0]
    args = ([inner, 2], {"a": inner}, {1, 2}, bytearray(b"ab"))

    def change(items, table, numbers, text):
        assert items[0] is table["a"]
        items.append(3)
        table["a"].append(0.5)
        table["b"] = None
        numbers.remove(1)
        text[0] = 0

    call(change, *args)
    assert args == (
        [[1.0, 0.5], 2, 3], {"a": [1.0, 0.5], "b": None}, {2}, bytearray(b"\0b")
    )  # fmt: skip


def test_arrays_are_views_too():
    base = np.arange(12.0).reshape(3, 4)
    backwards, row = base[:, ::-1], base[1]

    def change(a, b):
        b += 1
        return a.strides, a[1], np.shares_memory(a, b)

    steps, value, shared = call(change, backwards, row)
    assert steps == backwards.strides and shared
    assert base[1].tolist() == [5, 6, 7, 8] and value.tolist() == [8, 7, 6, 5]
    value[0] = 0
    assert base[1, 3] == 0


def test_an_argument_that_is_returned_is_itself():
    x = torch.ones(3)
    assert call(lambda x: x.add_(1), x) is x
    assert call(lambda x: x.view(3, 1), x).data_ptr() == x.data_ptr()


def test_gradients_and_read_only_arrays_refuse_as_at_home():
    fixed = np.zeros(2)
    fixed.flags.writeable = False
    for wrong, argument in (
        (lambda x: x.add_(1), torch.ones(2, requires_grad=True)),
        (lambda x: x.add_(1), torch.ones(1).expand(3)),
        (lambda x: x.sort(), fixed),
        (lambda x: x.view(-1), torch.ones(2, 3).T),
    ):
        for run in (lambda f, x: f(x), call):
            with pytest.raises((RuntimeError, ValueError)):
                run(wrong, argument)


def test_what_lies_between_is_not_sent():
    """Answers may lie in memory beside what is asked."""
    secret = torch.tensor([[1.0, 99.0], [2.0, 99.0]])
    pieces = encode([secret[:, 0], secret.numpy()[:, 0]])
    content = b"".join(pieces[2:])
    assert np.float32(99.0).tobytes() not in content
    assert np.float32(2.0).tobytes() in content


def test_a_view_of_far_more_than_its_own_is_sent_dense():
    column = torch.zeros(1000, 1000)[:, 0]
    assert sum(map(len, encode(column))) < 10_000
    rest = call(lambda x: x.add_(1)[1:], column)
    assert column.sum() == 1000 and rest.sum() == 999


def test_the_journal_puts_everything_back_in_any_order():
    x, items, table = torch.zeros(4, requires_grad=True), [1], {"a": 2}
    x, journal = x.detach(), Journal()
    for function, argument in (
        (lambda a: a[:2].fill_(5), x),
        (lambda a: a.unsqueeze_(1), x),
        (lambda a: a.fill_(6), x[1:]),
        (lambda a: a.append(2), items),
        (lambda a: a.clear(), table),
        (lambda a: a.requires_grad_(), x),
    ):
        call(function, argument, journal=journal)
    assert x.shape == (4, 1) and x[1:].eq(6).all() and items == [1, 2] and not table
    journal.undo()
    assert x.tolist() == [0] * 4 and not x.requires_grad
    assert items == [1] and table == {"a": 2}


# ------------------------------------------------------------------ lies


def sent(*args):
    """The tests' side of a call that is under way."""
    shared = Sent()
    encode(args, None, shared)
    return shared


def secret():
    """Two columns, of which the first is an argument and the second an answer."""
    return torch.tensor([[1.0, 99.0], [2.0, 99.0]])


@pytest.mark.parametrize(
    "changes",
    [
        None,
        7,
        ([], [], []),
        ([7], []),
        ([(0, torch.ones(9, dtype=torch.float64))], []),
        ([(0, (1, 2))], []),
        ([(1, torch.ones(3))], []),
        ([(1, [1, 2])], []),
        ([(1, {"a": 1})], []),
        ([(-1, ())], []),
        ([(99, ())], []),
        ([("0", ())], []),
        ([(2, (1, 2, 3))], []),
        ([(2, ([], 2))], []),
        ([(2, tuple(x for k in range(20) for x in (k * (2**61 - 1), 0)))], []),
        ([], [(0, b"")]),
        ([], [(0, bytes(1 << 20))]),
        ([], [(0, torch.zeros(4))]),
        ([], [(-1, bytes(16))]),
        ([], [(9, bytes(16))]),
        ([], [(None, bytes(16))]),
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_a_change_that_nothing_makes_is_refused(changes):
    x, items, table = torch.ones(4), [1], {"a": 1}
    shared, journal = sent(x, items, table), Journal()
    with pytest.raises(Forged):
        shared.write_back(changes, journal.note)
    journal.undo()
    assert x.tolist() == [1] * 4 and items == [1] and table == {"a": 1}


def test_new_bytes_reach_the_argument_and_no_gap_in_it():
    base = secret()
    shared = sent(base[:, 0])
    size = len(shared.regions[0].content)
    shared.write_back(([], [(0, b"\xff" * size)]), Journal().note)
    assert base[:, 0].isnan().all() and base[:, 1].tolist() == [99, 99]


@pytest.mark.parametrize(
    "node",
    [
        ["T", "float32", [2, 2], [2, 1], False, [0, 0]],
        ["T", "float32", [1], [1], False, [0, 4]],
        ["T", "uint8", [12], [1], False, [0, 0]],
        ["A", "<f4", [3], [4], "w", [0, 0]],
        ["A", "<f4", [2], [-4], "w", [0, 8]],
        ["T", "float32", [4], [1], False, [0, 0]],
        ["T", "float32", [2], [2], False, [0, 4]],
        ["T", "float32", [1], [1], False, [1, 0]],
        ["same", 1],
        ["same", 99],
        ["same", -1],
    ],
    ids=str,
)
def test_no_value_is_a_view_of_what_was_not_sent(node):
    base = secret()
    shared = sent(base[:, 0], [1, 2])
    text = json.dumps({"regions": [], "value": node}).encode()
    with pytest.raises(Forged):
        decode(text, memoryview(bytearray()), None, shared)


TAGS = ["T", "A", "same", "l", "t", "y", "d", "n"]
WORDS = st.integers(-2, 40) | st.sampled_from(["float32", "<f4", "w", True, False])
NODES = st.recursive(
    st.tuples(st.sampled_from(TAGS), WORDS | st.lists(WORDS, max_size=2)).map(list)
    | st.tuples(
        st.sampled_from(["T", "A"]),
        st.sampled_from(["float32", "uint8", "<f4", "|u1"]),
        st.lists(st.integers(0, 3), max_size=2),
        st.lists(st.integers(-8, 8), max_size=2),
        st.sampled_from([True, False, "w", "scalar"]),
        st.tuples(st.integers(-1, 2), st.integers(-1, 16)).map(list),
    ).map(list),
    lambda inner: st.tuples(st.sampled_from("lt"), st.lists(inner)).map(list),
)


@given(NODES)
def test_no_claim_shows_or_changes_what_was_not_sent(node):
    base, items = secret(), [1]
    shared, journal = sent(base[:, 0], items, base.numpy()[:, 0]), Journal()
    text = json.dumps({"regions": [], "value": ["t", [node, node]]}).encode()
    try:
        value, changes = decode(text, memoryview(bytearray()), None, shared)
        content = b"".join(encode(value)[2:])
        assert np.float32(99.0).tobytes() not in content
        shared.write_back(changes, journal.note)
    except Forged:
        pass
    assert base[:, 1].tolist() == [99, 99]
    journal.undo()
    assert base.tolist() == secret().tolist() and items == [1]


def test_a_submission_changes_no_more_than_can_be_undone(monkeypatch):
    monkeypatch.setattr(journals, "MAX_UNDONE", 1000)
    journal, kept = Journal(), []
    with pytest.raises(Forged, match="have changed"):
        for _ in range(100):
            kept.append(torch.zeros(16))
            call(lambda x: x.add_(1), kept[-1], journal=journal)
    assert len(kept) == 1000 // kept[0].nbytes + 1
    journal.undo()
    assert not any(x.any() for x in kept)


def test_more_than_a_frame_holds_is_not_sent():
    for value in (
        torch.zeros(1).expand(1 << 30),
        [torch.zeros(1 << 22)[:1], torch.zeros(math.prod((1 << 15, 1 << 10)))],
    ):
        with pytest.raises(Unsendable):
            encode(value)
