"""The replay counts what the engine does."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.bench.drafts.replay import counted, guesses, looked_up, replay
from lib.decode.batching import Engine
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.drafts import LookUp, ModelDraft
from lib.decode.llama import Llama
from lib.decode.requests import Request
from lib.decode.speculative import expected_tokens
from tests.conftest import llama_of

TARGET = llama_of(initializer_range=0.2)
OTHER = llama_of(initializer_range=0.2)
PROMPT, NEW = [3, 1, 4, 1, 5], 30


def nearly():
    """A draft that is often right: the target with a little noise on its head."""
    torch.manual_seed(0)
    noisy = llama_of(initializer_range=0.2)
    noisy.load_state_dict(TARGET.state_dict())
    noisy.lm_head.weight.data += 0.05 * torch.randn_like(noisy.lm_head.weight)
    return noisy


def run(draft, length):
    shape = Shape.of(TARGET)
    engine = Engine(Llama(TARGET), ContiguousCache(shape), draft=draft, length=length)
    number = engine.submit(Request(tuple(PROMPT), NEW))
    text = engine.waiting[0]
    while engine.busy:
        engine.step()
    assert text.number == number
    return text, engine.passes


@pytest.mark.parametrize("length", [1, 2, 4, 7, 40])
@pytest.mark.parametrize("who", ["look-up", "nearly", "another"])
def test_the_replay_takes_the_passes_of_the_engine(who, length):
    new = run(None, 4)[0].written
    if who == "look-up":
        draft, guess = LookUp(40), looked_up((PROMPT, new))
    else:
        model = nearly() if who == "nearly" else OTHER
        draft = ModelDraft.of(model)
        with torch.no_grad():
            logits = model(torch.tensor([PROMPT + new[:-1]])).logits[0]
        best = logits[len(PROMPT) - 1 :].argmax(-1)
        guess = guesses((best == torch.tensor(new)).tolist())
    text, passes = run(draft, length)
    replayed = replay(guess, NEW, length, NEW)
    assert text.written == new
    assert replayed["passes"] == passes - 1
    assert replayed["accepted"] == text.accepted


@given(st.lists(st.booleans(), min_size=2, max_size=60), st.integers(1, 9))
def test_every_token_is_accepted_or_written_by_a_pass(right, length):
    done = replay(guesses(right), len(right), length, len(right))
    # the last pass may end the text with an accepted token: no extra one fits
    assert done["tokens"] - done["accepted"] in (done["passes"], done["passes"] - 1)
    assert done["accepted"] <= done["tested"] <= done["accepted"] + done["passes"]


def test_independent_guesses_yield_the_expected_tokens():
    torch.manual_seed(0)
    right = (torch.rand(10_000) < 0.7).tolist()
    table = counted([guesses(right)], [len(right)], len(right))
    for length, row in table.items():
        assert row["alpha"] == pytest.approx(0.7, abs=0.03)
        want = expected_tokens(0.7, int(length))
        assert row["tokens_a_pass"] == pytest.approx(want, rel=0.06)
