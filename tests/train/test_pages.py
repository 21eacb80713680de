"""Pages keep what is written to them, stay within their memory, and go by recency."""

import weakref
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.train.pages import Pages

NUMBERS, BYTES = 6, 24


def homes():
    """The files that are mapped as homes of pages."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if "/pages-" in line]


def pages(count=5, room=2):
    return Pages(count, NUMBERS, capacity=room * BYTES + 7)  # 7 bytes hold no page


@settings(max_examples=60)
@given(
    room=st.integers(1, 6),
    touches=st.lists(st.integers(0, 5), max_size=40),
    spike=st.integers(0, 40),
)
def test_any_order_of_touches_reads_what_was_written_and_moves_as_lru_says(
    room, touches, spike
):
    mine, model = pages(6, room), OrderedDict()
    written = [torch.zeros(NUMBERS) for _ in range(6)]
    expected = []
    for time, page in enumerate(touches):
        if time == spike:  # everything has to go home
            with mine.yielding(mine.capacity):
                assert mine.resident == 0
            expected += [(p, "out") for p in model]
            model.clear()
        if page in model:
            model.move_to_end(page)
        else:
            if len(model) == room:
                expected.append((model.popitem(last=False)[0], "out"))
            model[page] = None
            expected.append((page, "in"))
        tensor = mine.touch(page)
        assert torch.equal(tensor, written[page])
        tensor += time + 1
        written[page] = tensor.clone()
        assert mine.resident <= mine.capacity
    assert [(move.page, move.way) for move in mine.moves] == expected
    for page in range(6):
        assert torch.equal(mine.peek(page), written[page])
    assert mine.moved("in") - mine.moved("out") == mine.resident


@pytest.mark.parametrize(("count", "room"), [(5, 2), (9, 8), (4, 4)])
def test_a_loop_misses_every_time_and_a_sweep_to_and_fro_only_what_does_not_fit(
    count, room
):
    def misses(sweeps):
        mine = pages(count, room)
        for page in range(count):
            mine.touch(page)
        first = len(mine.moves)
        for page in sweeps:
            mine.touch(page)
        return sum(move.way == "in" for move in mine.moves[first:])

    to_and_fro = [*reversed(range(count)), *range(count)]
    assert misses(to_and_fro) == 2 * (count - room)
    assert misses([*range(count)] * 2) == (2 * count if room < count else 0)


def test_a_spike_takes_memory_and_gives_it_back():
    mine = pages(5, 4)
    for page in range(4):
        mine.touch(page)
    with mine.yielding(2 * BYTES):
        assert mine.resident == 2 * BYTES
        assert {move.page for move in mine.moves if move.way == "out"} == {0, 1}
        mine.touch(0)
        assert mine.resident == 2 * BYTES
        with pytest.raises(ValueError, match="48 are yielded already"):  # noqa: SIM117
            with mine.yielding(mine.capacity):
                pass
    mine.touch(1)
    assert mine.resident == 3 * BYTES


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells maps")
def test_the_fast_memory_is_really_free_and_the_slow_one_is_a_file():
    mine = pages(3, 1)
    first = weakref.ref(mine.touch(0))
    mine.touch(1)
    assert first() is None, "a page that went home is not kept anywhere"
    assert len(homes()) == 1 and "(deleted)" in homes()[0]
    del mine
    assert not homes()


def test_impossible_sizes_are_refused(as_a_user):
    with pytest.raises(ValueError, match="hold nothing"):
        Pages(0, 4, capacity=100)
    with pytest.raises(ValueError, match="less than a page, 24"):
        Pages(3, NUMBERS, capacity=23)
    with pytest.raises(ValueError, match="page 5 is not among the 5"):
        pages().touch(5)
    mine = pages()
    with mine.yielding(mine.capacity), pytest.raises(ValueError, match="does not fit"):
        mine.touch(0)
    with pytest.raises(ValueError, match="-1 bytes"), mine.yielding(-1):
        pass
