"""The ends of a trade are the two models; a calibrated threshold keeps its word."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.decode.batching import Engine, generate
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.llama import Llama
from lib.decode.requests import Request
from lib.decode.routing.cascade import TokenCascade, calibrated, confidence, trade
from tests.conftest import llama_of

LARGE = llama_of(initializer_range=0.3)
SMALL = llama_of(num_hidden_layers=1, hidden_size=8, initializer_range=1.0)
PROMPT = (3, 1, 4, 1, 5)


def pair(model):
    return Llama(model), Shape.of(model)


def alone(model):
    engine = Engine(Llama(model), ContiguousCache(Shape.of(model)))
    return generate(engine, [Request(PROMPT, 20)])[0]


def test_the_ends_of_a_token_cascade_are_the_two_models():
    for threshold, model, asked in ((0.0, SMALL, 0), (1.1, LARGE, 20)):
        cascade = TokenCascade(pair(SMALL), pair(LARGE), threshold)
        assert cascade.write(PROMPT, 20) == alone(model)
        assert cascade.asked == asked


def test_in_between_each_token_is_that_of_who_was_sure():
    cascade = TokenCascade(pair(SMALL), pair(LARGE), 0.5)
    text = list(PROMPT)
    for token in cascade.write(PROMPT, 20):
        with torch.no_grad():
            small = SMALL(torch.tensor([text])).logits[0, -1]
            large = LARGE(torch.tensor([text])).logits[0, -1]
        sure = small.softmax(-1).max()
        assert abs(sure - 0.5) > 1e-4, "too close to tell"
        assert token == int((small if sure >= 0.5 else large).argmax())
        text.append(token)
    assert 0 < cascade.asked < 20


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_the_ends_of_the_trade_are_the_two_models(count, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(3, count, generator=generator, dtype=torch.float64)
    sure, small, large = draw[0].mul(4).round(), draw[1], draw[2]
    found = trade(sure, small, large)
    assert found.asked[0] == 0 and found.asked[-1] == 1
    assert found.quality[0] == pytest.approx(float(small.mean()))
    assert found.quality[-1] == pytest.approx(float(large.mean()))
    assert (found.asked.diff() > 0).all()
    for threshold, quality in zip(found.thresholds, found.quality, strict=True):
        each = torch.where(sure < threshold, large, small)
        assert quality == pytest.approx(float(each.mean()))


def test_a_calibrated_threshold_keeps_its_word():
    """Right with probability `sure`: of 200 draws, few promise more than they keep."""
    broken = 0
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        sure = torch.rand(4000, generator=generator, dtype=torch.float64)
        right = torch.rand(4000, generator=generator, dtype=torch.float64) < sure
        threshold = calibrated(sure, right, target=0.7, delta=0.1)
        assert threshold < math.inf
        broken += (1 + threshold) / 2 < 0.7  # the mean of what is above it
    assert broken <= 200 * 0.1


def test_a_promise_that_cannot_be_kept_is_not_made():
    sure = torch.linspace(0, 1, 50, dtype=torch.float64)
    assert calibrated(sure, sure < -1, target=0.5) == math.inf
    few = torch.ones(3, dtype=torch.float64)
    assert calibrated(few, few > 0, target=0.9) == math.inf, "three say nothing"
    assert calibrated(few[:0], few[:0] > 0, target=0.9) == math.inf


def test_confidence_is_the_geometric_mean():
    p = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], dtype=torch.float64)
    assert confidence(p.log(), [1, 1]) == pytest.approx(math.sqrt(0.25 * 0.8))
    for rows, written in ((p, [1]), (p[:0], [])):
        with pytest.raises(ValueError, match="rows of logits"):
            confidence(rows.log(), written)


def test_what_cannot_be_is_refused():
    other = llama_of(vocab_size=50)
    with pytest.raises(ValueError, match="vocabularies of 40 and 50"):
        TokenCascade(pair(SMALL), pair(other), 0.5)
    with pytest.raises(ValueError, match="no inputs"):
        trade(*torch.zeros(3, 0))
    with pytest.raises(ValueError, match=r"target=1\.0"):
        calibrated(torch.ones(3), torch.ones(3) > 0, target=1.0)
