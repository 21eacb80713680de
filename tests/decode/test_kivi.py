"""Sealed blocks: what rounding may move, what it costs; and nothing else changes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.decode.batching import Engine, generate
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.kivi import KIVI, CachedModel
from lib.decode.llama import Llama, Span
from lib.decode.paged import BLOCK, Blocks, PagedCache
from lib.decode.requests import Request
from lib.models.evaluate import window_losses
from tests.conftest import llama_of

MODEL = llama_of(initializer_range=0.2)
SHAPE = Shape(layers=2, heads=3, channels=4)
PLANS = [
    KIVI(bits, keys, values)
    for bits in (2, 3, 4, 8)
    for keys in ("channel", "token")
    for values in ("channel", "token")
]


def filled(plan, tokens, *, count=8, seed=0, shape=SHAPE, spread=1.0):
    """A cache with one text of random numbers, and those: (layers, tokens, …) twice."""
    cache = PagedCache(shape, count, plan.blocks)
    draw = torch.Generator().manual_seed(seed)
    sizes = (2, shape.layers, tokens, shape.heads, shape.channels)
    keys, values = torch.randn(*sizes, generator=draw) * spread
    grow(cache, 1, list(range(tokens)), keys, values)
    return cache, keys, values


def grow(cache, sequence, text, keys, values):
    """Write these tokens behind the others, and say all of the text."""
    cache.extend({sequence: keys.shape[1]})
    for layer in range(len(keys)):
        cache.write(layer, keys[layer], values[layer])
    cache.tell(sequence, text)


def seal(cache, sequence=1):
    cache.extend({sequence: 0})


def held(cache, sequence=1):
    pairs = [cache.read(layer, [sequence]) for layer in range(cache.shape.layers)]
    return (torch.cat([pair[i] for pair in pairs]) for i in (0, 1))


def largest_errors(along, exact, bits):
    """What each number may be off by, from the range of its own group."""
    dim = 2 if along == "channel" else 4
    blocks = exact.unflatten(1, (-1, BLOCK))  # (layers, blocks, 16, heads, channels)
    low = blocks.amin(dim, keepdim=True).clamp(max=0)
    high = blocks.amax(dim, keepdim=True).clamp(min=0)
    step, levels = (high - low) / (2**bits - 1), 2**bits - 1
    lost = torch.maximum(step / 2**11, torch.tensor(2.0**-25))  # by fp16
    step = (step + lost).clamp(min=2.0**-24)
    bound = step / 2 + levels * lost + 1e-6 * high.maximum(-low)
    return bound.expand_as(blocks).flatten(1, 2)


@settings(max_examples=40)
@given(
    st.sampled_from(PLANS),
    st.integers(0, 99),
    st.sampled_from([1e-9, 1e-4, 1.0, 300.0, 9000.0]),
)
def test_no_number_moves_further_than_its_groups_step_allows(plan, seed, spread):
    tokens = 2 * BLOCK
    cache, keys, values = filled(plan, tokens, seed=seed, spread=spread)
    assert all(map(torch.equal, held(cache), (keys, values))), "open blocks are exact"
    seal(cache)
    for along, exact, now in zip(
        (plan.keys, plan.values), (keys, values), held(cache), strict=True
    ):
        error = (now - exact).abs()
        assert (error <= largest_errors(along, exact, plan.bits)).all()


def test_only_what_is_full_is_rounded():
    cache, keys, values = filled(KIVI(2), 2 * BLOCK + 7)
    seal(cache)
    for exact, now in zip((keys, values), held(cache), strict=True):
        moved = (now != exact).flatten(2).any(-1).any(0)
        assert moved[: 2 * BLOCK].all() and not moved[2 * BLOCK :].any()


@pytest.mark.parametrize("plan", PLANS)
def test_bits_are_those_that_are_stored(plan):
    """b a code, and 16 + b for each group's scale and zero."""
    shape, count = Shape(layers=3, heads=4, channels=32), 5
    cache = PagedCache(shape, count, plan.blocks)
    group = {"channel": BLOCK, "token": shape.channels}
    numbers = shape.layers * shape.heads * shape.channels
    bits = sum(
        numbers * (plan.bits + (16 + plan.bits) / group[along])
        for along in (plan.keys, plan.values)
    )
    assert cache.blocks.token_bits == bits
    assert cache.blocks.nbytes == count * BLOCK * bits / 8
    whole = PagedCache(shape, count).blocks.nbytes
    assert whole == count * BLOCK * shape.token_bytes


def test_the_memory_of_open_blocks_comes_back():
    cache, *_ = filled(KIVI(4), 4 * BLOCK)
    assert len(cache.blocks.spare) == cache.blocks.keys.shape[1] - 4
    seal(cache)
    assert len(cache.blocks.spare) == cache.blocks.keys.shape[1]
    more = torch.zeros(2, 1, 3, 4)
    grow(cache, 1, list(range(4 * BLOCK + 1)), more, more)
    assert len(cache.blocks.spare) == cache.blocks.keys.shape[1] - 1
    cache.free(1)
    assert len(cache.blocks.spare) == cache.blocks.keys.shape[1]


def test_who_writes_into_a_sealed_block_that_others_read_gets_a_copy():
    cache, *_ = filled(KIVI(4), 2 * BLOCK)
    seal(cache)
    before = list(held(cache))
    cache.fork(1, 2)
    cache.truncate(2, BLOCK + 5)
    more = torch.full((2, 1, 3, 4), 77.0)
    grow(cache, 2, [*range(BLOCK + 5), 99], more, -more)
    assert all(map(torch.equal, held(cache), before))
    for was, now, new in zip(before, held(cache, 2), (more, -more), strict=True):
        assert torch.equal(now[:, : BLOCK + 5], was[:, : BLOCK + 5])
        assert torch.equal(now[:, BLOCK + 5 :], new)


def test_a_sealed_block_that_is_opened_again_keeps_its_numbers():
    cache, *_ = filled(KIVI(4), 2 * BLOCK)
    seal(cache)
    before = list(held(cache))
    cache.truncate(1, 2 * BLOCK - 3)
    more = torch.full((2, 3, 3, 4), 5.0)
    grow(cache, 1, list(range(2 * BLOCK)), more, more)
    for was, now in zip(before, held(cache), strict=True):
        assert torch.equal(now[:, :-3], was[:, :-3])
        assert torch.equal(now[:, -3:], more)


def test_channels_that_are_large_in_every_token_want_their_own_grids():
    """The keys of language models have some, and that is why KIVI turns them round."""
    errors = {}
    for along in ("channel", "token"):
        cache = PagedCache(SHAPE, 8, KIVI(4, keys=along).blocks)
        draw = torch.Generator().manual_seed(0)
        keys = torch.randn(2, 2 * BLOCK, 3, 4, generator=draw)
        keys[..., 1] *= 100
        grow(cache, 1, list(range(2 * BLOCK)), keys, keys)
        seal(cache)
        now, _ = held(cache)
        errors[along] = (now - keys)[..., [0, 2, 3]].square().mean()
    assert errors["channel"] < errors["token"] / 100


def test_a_number_that_no_scale_can_hold_is_refused_before_it_is_kept():
    for bad in (math.nan, math.inf, -1e5):
        cache = PagedCache(SHAPE, 4, KIVI().blocks)
        cache.extend({1: 1})
        x = torch.zeros(1, 3, 4)
        x[0, 2, 1] = bad
        with pytest.raises(ValueError, match="a value of"):
            cache.write(0, torch.zeros(1, 3, 4), x)


def test_settings_that_have_no_grid_are_refused():
    for wrong in ({"bits": 1}, {"bits": 9}):
        with pytest.raises(ValueError, match="is not in 2 to 8"):
            KIVI(**wrong)
    with pytest.raises(ValueError, match="keys='tokens'"):
        KIVI(keys="tokens")


# --------------------------------------------------------------- whole models


def written_one_by_one(text, cache):
    """A model's logits of a text, token by token."""
    llama, rows = Llama(MODEL), []
    for at, token in enumerate(text):
        rows.append(llama([Span(0, (token,))], cache))
        cache.tell(0, text[: at + 1])
    return torch.cat(rows)


@pytest.mark.parametrize("make", [Blocks, KIVI(2).blocks])
def test_windows_are_read_as_if_they_were_written(make):
    windows = torch.randint(40, (2, 3 * BLOCK), generator=torch.manual_seed(0))
    logits = CachedModel(MODEL, lambda s, n: PagedCache(s, n, make))(windows).logits
    for text, read in zip(windows.tolist(), logits, strict=True):
        cache = PagedCache(Shape.of(MODEL), 4, make)
        torch.testing.assert_close(
            read, written_one_by_one(text, cache), rtol=1e-4, atol=1e-5
        )


def test_with_open_blocks_the_loss_is_the_models():
    windows = torch.randint(40, (3, 60), generator=torch.manual_seed(1))
    cached = window_losses(CachedModel(MODEL, PagedCache), windows)
    torch.testing.assert_close(cached, window_losses(MODEL, windows), atol=1e-5, rtol=0)


@pytest.mark.parametrize("bits", [2, 8])
def test_engines_leak_nothing_and_a_text_alone_is_that_in_company(bits):
    """Requests that share no beginning, in room for all: equal pieces, equal tokens."""
    requests = [Request((n, *range(n, n + 20)), 14) for n in range(3)]

    def engine(count):
        cache = PagedCache(Shape.of(MODEL), count, KIVI(bits).blocks)
        return Engine(Llama(MODEL), cache)

    together = engine(40)
    assert generate(together, requests) == [
        generate(engine(9), [r])[0] for r in requests
    ]
    assert len(together.cache.unused) == 40
    assert len(together.cache.blocks.spare) == together.cache.blocks.keys.shape[1]
    tight = engine(4)  # preempts
    assert [len(text) for text in generate(tight, requests)] == [14] * 3
    assert len(tight.cache.unused) == 4


def test_eight_bits_say_what_the_contiguous_cache_says():
    request = Request(tuple(range(20)), 30)
    cache = PagedCache(Shape.of(MODEL), 8, KIVI(8).blocks)
    exact = Engine(Llama(MODEL), ContiguousCache(Shape.of(MODEL)))
    assert generate(Engine(Llama(MODEL), cache), [request]) == generate(
        exact, [request]
    )
