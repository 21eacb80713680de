"""Each choice is the distribution that transformers samples from, and draws keep it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from lib.decode.sampling import Sampling, distribution, draw


def by_transformers(logits, sampling):
    if sampling.temperature != 1:
        logits = TemperatureLogitsWarper(sampling.temperature)(None, logits)
    if sampling.top_k:
        logits = TopKLogitsWarper(sampling.top_k)(None, logits)
    if sampling.top_p < 1:
        logits = TopPLogitsWarper(sampling.top_p)(None, logits)
    if sampling.min_p:
        logits = MinPLogitsWarper(sampling.min_p)(None, logits)
    return logits.softmax(-1)


@given(
    st.integers(0, 10_000),
    st.floats(0.3, 3),
    st.integers(0, 12),
    st.floats(0.05, 1),
    st.floats(0, 0.9),
)
def test_it_is_the_distribution_of_transformers(seed, temperature, k, top_p, min_p):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(4, 10, generator=generator, dtype=torch.float64)
    sampling = Sampling(temperature, k, top_p, min_p)
    got = distribution(logits, sampling)
    torch.testing.assert_close(got, by_transformers(logits, sampling))


def test_greedy_is_the_first_of_the_largest():
    logits = torch.tensor([[1.0, 3.0, 3.0], [0.0, -1.0, -2.0]])
    want = torch.tensor([[0, 1, 0], [1, 0, 0]], dtype=torch.float64)
    assert torch.equal(distribution(logits, Sampling()), want)


def test_large_logits_of_half_precision_do_not_overflow():
    logits = torch.tensor([[6e4, 5e4, -torch.inf]], dtype=torch.float16)
    p = distribution(logits, Sampling(temperature=1e-3))
    assert p.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_a_row_without_a_largest_logit_is_refused(broken):
    with pytest.raises(ValueError, match="the largest logit"):
        distribution(torch.tensor([[0.0, broken]]), Sampling())
    with pytest.raises(ValueError, match="the largest logit"):
        distribution(torch.full((1, 3), -torch.inf), Sampling(1.0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": 1.1},
    ],
)
def test_what_is_no_choice_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        Sampling(**wrong)


def test_draws_have_the_distribution():
    p = torch.tensor([0.0, 0.5, 0.0, 0.125, 0.375, 0.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    counts = torch.bincount(
        torch.tensor([draw(p, generator) for _ in range(4000)]), minlength=6
    )
    assert (counts[p == 0] == 0).all()
    kept = p > 0
    statistic = ((counts - 4000 * p)[kept] ** 2 / (4000 * p[kept])).sum()
    assert statistic < 27.6  # χ², 2 degrees of freedom, one run in a million


def test_a_number_that_rounds_to_the_total_draws_no_impossible_token(monkeypatch):
    p = torch.tensor([0.1] * 10 + [0.0], dtype=torch.float64)

    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.ones((), dtype=p.dtype))
    assert draw(p, torch.Generator()) == 9, "u · total was rounded up to the total"
