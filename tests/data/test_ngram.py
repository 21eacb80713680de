"""The n-gram is its definition, a law on every context, and learns what repeats."""

import itertools

import pytest
import torch

from lib.data.ngram import fit_ngram


def text_of(length, letters, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(letters, (length,), generator=draw)


def witten_bell(text, context, vocabulary):
    """p(· | context) by the definition, with lists."""
    if context is None:
        return [1 / vocabulary] * vocabulary
    shorter = witten_bell(text, context[1:] if context else None, vocabulary)
    k = len(context)
    followed = [text[i + k] for i in range(len(text) - k) if text[i : i + k] == context]
    different = len(set(followed))
    if not followed:
        return shorter
    return [
        (followed.count(y) + different * shorter[y]) / (len(followed) + different)
        for y in range(vocabulary)
    ]


@pytest.mark.parametrize("order", (1, 2, 3))
def test_an_ngram_is_its_definition_on_every_context(order):
    text = text_of(60, 4)
    contexts = torch.tensor(list(itertools.product(range(4), repeat=order)))
    p = fit_ngram(text, order, 4).probabilities(contexts)
    want = [
        witten_bell(text.tolist(), c[len(c) - order + 1 :], 4)
        for c in contexts.tolist()
    ]
    torch.testing.assert_close(p, torch.tensor(want))


def test_an_ngram_has_rows_that_sum_to_one_and_no_zero():
    model = fit_ngram(text_of(50, 9), 4, 12)
    p = model.probabilities(text_of(300, 12, seed=1).view(100, 3))
    assert (p > 0).all() and torch.allclose(p.sum(-1), torch.ones(100), atol=1e-5)


def test_an_ngram_learns_a_cycle():
    text = torch.arange(300) % 3
    p = fit_ngram(text, 2, 3).probabilities(torch.tensor([[0], [1], [2]]))
    assert p.argmax(-1).tolist() == [1, 2, 0] and p.max(-1).values.min() > 0.97


@pytest.mark.parametrize(
    ("text", "order", "vocabulary"),
    (([0, 1], 2, 2), ([0, 3, 1], 1, 3), ([0] * 9, 0, 2)),
)
def test_an_ngram_refuses(text, order, vocabulary):
    with pytest.raises(ValueError, match=r"order|letters"):
        fit_ngram(torch.tensor(text), order, vocabulary)


def test_an_ngram_refuses_short_contexts():
    with pytest.raises(ValueError, match="1 letters for order 3"):
        fit_ngram(text_of(50, 4), 3, 4).probabilities(torch.tensor([[1]]))
