"""A request gets the same tokens alone and in company, with a draft and without."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.decode.batching import Engine, generate
from lib.decode.cache import ContiguousCache, Full, Shape
from lib.decode.drafts import LookUp, ModelDraft, early_exit, fit_bridge
from lib.decode.llama import Llama
from lib.decode.paged import BLOCK, PagedCache
from lib.decode.requests import Request
from lib.decode.sampling import Sampling
from tests.conftest import llama_of

MODEL = llama_of(initializer_range=0.2)
OTHER = llama_of(num_hidden_layers=1, hidden_size=8, initializer_range=0.2)
SHAPE = Shape.of(MODEL)
SAMPLED = Sampling(temperature=1.0, top_k=20, top_p=0.95)


def prompt_of(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(40, (count,), generator=generator).tolist())


def engine(blocks=0, **how):
    cache = PagedCache(SHAPE, blocks) if blocks else ContiguousCache(SHAPE)
    return Engine(Llama(MODEL), cache, **how)


def draft_of(name):
    if name == "look-up":
        return LookUp(40)
    if name == "another model":
        return ModelDraft.of(OTHER)
    if name == "itself":
        return ModelDraft.of(MODEL)
    bridge = fit_bridge(MODEL, 1, torch.tensor([prompt_of(40, 9)]))
    return ModelDraft(early_exit(Llama(MODEL), 1, bridge), SHAPE)


DRAFTS = ("look-up", "another model", "itself", "an early exit")


def alone(request):
    return generate(engine(), [request])[0]


def test_greedy_text_is_that_of_transformers():
    prompt = prompt_of(7)
    want = MODEL.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, 7),  # else what equals pad_token_id is padding
        max_new_tokens=30,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    assert alone(Request(prompt, 30)) == want[0, 7:].tolist()


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("length", [1, 2, 5, 40])
def test_greedy_speculation_changes_no_token(draft, length):
    requests = [Request(prompt_of(3 * n, n), 5 * n) for n in (1, 2, 5, 8)]
    working = engine(draft=draft_of(draft), length=length)
    assert generate(working, requests) == [alone(r) for r in requests]


def test_a_draft_that_knows_saves_passes():
    working = engine(draft=draft_of("itself"), length=4)
    generate(working, [Request(prompt_of(5), 26)])
    assert working.passes == 1 + 25 / 5  # the prompt's, and 4 + 1 tokens each


@settings(max_examples=25)
@given(st.data())
def test_company_pieces_and_preemption_change_no_token(data):
    sizes = st.tuples(st.integers(1, 30), st.integers(1, 30), st.booleans())
    requests = [
        Request(prompt_of(n, i), new, SAMPLED if warm else Sampling(), seed=i)
        for i, (n, new, warm) in enumerate(data.draw(st.lists(sizes, min_size=1)))
    ]
    working = engine(
        blocks=data.draw(st.sampled_from([0, 4, 6, 40])),
        batch=data.draw(st.integers(1, 5)),
        budget=data.draw(st.sampled_from([1, 7, 256])),
        continuous=data.draw(st.booleans()),
    )
    numbers, written = [], {}
    for request in requests:
        numbers.append(working.submit(request))
        for _ in range(data.draw(st.integers(0, 4))):
            for number, tokens in working.step().new.items():
                written.setdefault(number, []).extend(tokens)
    while working.busy:
        for number, tokens in working.step().new.items():
            written.setdefault(number, []).extend(tokens)
    assert [written[n] for n in numbers] == [alone(r) for r in requests]
    if isinstance(working.cache, PagedCache):
        assert len(working.cache.unused) * BLOCK == working.cache.capacity


@pytest.mark.parametrize("draft", DRAFTS)
def test_sampled_speculation_does_not_depend_on_company(draft):
    requests = [Request(prompt_of(4, n), 12, SAMPLED, seed=n) for n in range(5)]
    want = [generate(engine(draft=draft_of(draft), length=3), [r])[0] for r in requests]
    tight = engine(blocks=4, batch=3, budget=5, draft=draft_of(draft), length=3)
    assert generate(tight, requests) == want


def test_seeds_decide():
    texts = {
        tuple(alone(Request(prompt_of(4), 10, SAMPLED, seed=seed))) for seed in range(8)
    }
    assert len(texts) == 8


@pytest.mark.parametrize("draft", [None, "itself"])
def test_the_end_of_a_text_ends_it_even_inside_a_draft(draft):
    prompt = prompt_of(5)
    text = alone(Request(prompt, 20))
    stop = text[7]
    at = text.index(stop)
    working = engine(draft=draft_of(draft) if draft else None)
    number = working.submit(Request(prompt, 20, stop=frozenset({stop})))
    passes = []
    while working.busy:
        passes.append(working.step())
    written = itertools.chain.from_iterable(p.new.get(number, []) for p in passes)
    assert list(written) == text[: at + 1]
    assert passes[-1].ended == {number: "stop"}


def test_a_batch_takes_as_long_as_its_longest_only_where_it_is_static():
    requests = [Request(prompt_of(3, n), 5 if n % 2 else 30) for n in range(8)]
    passes = {}
    for continuous in (False, True):
        working = engine(batch=2, continuous=continuous)
        generate(working, requests)
        passes[continuous] = working.passes
    assert passes[False] == 4 * 30
    assert passes[True] <= 4 * (30 + 5) / 2 + 30


def test_a_pass_that_makes_no_sense_changes_no_text(monkeypatch):
    requests = [Request(prompt_of(5, n), 8) for n in range(3)]
    working = engine(blocks=16, draft=draft_of("another model"))
    numbers = [working.submit(request) for request in requests]
    working.step()
    before = [list(text.tokens) for text in working.working]
    right = working.llama.head

    def one_row_of_nothing(h):
        logits = right(h)
        logits[-1] = torch.nan
        return logits

    with monkeypatch.context() as broken:
        broken.setattr(working.llama, "head", one_row_of_nothing)
        with pytest.raises(ValueError, match="the largest logit"):
            working.step()
    assert [text.tokens for text in working.working] == before
    written = {n: t[5:] for n, t in zip(numbers, before, strict=True)}
    while working.busy:
        for number, tokens in working.step().new.items():
            written[number] += tokens
    assert [written[n] for n in numbers] == [alone(r) for r in requests]


def test_cancelling_leaves_nothing_behind():
    working = engine(blocks=8, batch=2, draft=draft_of("another model"))
    numbers = [working.submit(Request(prompt_of(9, n), 20)) for n in range(4)]
    working.step()
    working.step()
    for number in numbers:
        working.cancel(number)
    assert not working.busy and len(working.cache.unused) == 8
    assert not working.draft.known and not working.draft.cache.strips
    assert working.step().spans == []


def test_prompts_that_begin_alike_are_read_once():
    system = prompt_of(40)
    requests = [Request((*system, n), 2) for n in range(4)]
    working = engine(blocks=24)
    first = working.submit(requests[0])
    while working.busy:
        working.step()
    for request in requests[1:]:
        working.submit(request)
    spans = {span.sequence: len(span.tokens) for span in working.step().spans}
    assert first not in spans and set(spans.values()) == {41 - 32}
    assert generate(engine(blocks=24), requests) == [alone(r) for r in requests]


def test_what_can_never_fit_is_refused():
    working = engine(blocks=2)
    with pytest.raises(ValueError, match="30 tokens and 3 more do not fit into 32"):
        working.submit(Request(prompt_of(30), 3))
    with pytest.raises(ValueError, match="60 tokens and 5 more do not fit into 64"):
        engine().submit(Request(prompt_of(60), 5))
    with pytest.raises(ValueError, match="a prompt of 0 tokens"):
        Request((), 3)
    with pytest.raises(ValueError, match="batch=0"):
        engine(batch=0)


def test_blocks_that_somebody_else_holds_are_said_to_be_missing():
    working = engine(blocks=2)
    working.cache.extend({-1: 20})
    working.submit(Request(prompt_of(9), 4))
    with pytest.raises(Full):
        working.step()


def test_a_bridge_is_the_least_squares_map():
    model = llama_of(num_hidden_layers=3)
    windows = torch.tensor([prompt_of(50), prompt_of(50, 1)])
    bridge = fit_bridge(model, 2, windows, damping=1e-9)
    states = model.model(windows, output_hidden_states=True).hidden_states
    seen = []
    handle = model.model.norm.register_forward_pre_hook(
        lambda _, args: seen.append(args[0])
    )
    model.model(windows)
    handle.remove()
    h, target = states[2].flatten(0, 1), seen[0].flatten(0, 1)
    h = torch.cat((h, torch.ones(100, 1)), 1)
    want = torch.linalg.lstsq(h.double(), target.double()).solution.float()
    torch.testing.assert_close(h @ bridge, h @ want, rtol=1e-4, atol=1e-5)
    for depth in (0, 3):
        with pytest.raises(ValueError, match=f"depth={depth} of 3 blocks"):
            fit_bridge(model, depth, windows)
        with pytest.raises(ValueError, match=f"depth={depth} of 3 blocks"):
            early_exit(Llama(model), depth, bridge)


def test_look_up_takes_the_longest_end_and_its_last_occurrence():
    guess = LookUp(40).guess([1, 2, 3, 9, 2, 3, 7, 1, 2, 3], 4)
    assert guess.tokens == [9, 2, 3, 7]
    guess = LookUp(40, longest=2).guess([1, 2, 3, 9, 2, 3, 7, 1, 2, 3], 2)
    assert guess.tokens == [7, 1]
    assert guess.q.argmax(-1).tolist() == [7, 1] and (guess.q.sum(-1) == 1).all()
    assert LookUp(40).guess([5], 3).tokens == LookUp(40).guess([5, 6], 3).tokens == []
    with pytest.raises(ValueError, match="longest=0"):
        LookUp(40, longest=0)
