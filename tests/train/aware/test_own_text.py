"""A model writes for itself: greedy first, then drawn, and never a special token."""

import pytest
import torch

from lib.train.aware.own_text import OwnText, write_itself
from tests.conftest import llama_of


@pytest.fixture(scope="module")
def llama():
    return llama_of().eval()


def greedy(model, ids, places):
    """Whether the tokens at these places are the likeliest after what is before."""
    logits = model(ids).logits
    logits[..., [0, 1]] = -torch.inf
    best = logits.argmax(-1)
    return torch.stack([ids[:, place] == best[:, place - 1] for place in places], 1)


def test_a_text_begins_greedily_and_goes_on_by_chance(llama):
    settings = OwnText(count=60, window=12, begin=(3, 5), seed=1, batch=25)
    ids = write_itself(llama, settings, special=(0, 1))
    assert ids.shape == (60, 12) and not torch.isin(ids, torch.tensor([0, 1])).any()
    assert greedy(llama, ids, range(1, 3)).all()
    assert greedy(llama, ids[1::2], range(3, 5)).all()
    assert not greedy(llama, ids[::2], range(3, 5)).all(0).any()
    assert greedy(llama, ids, range(5, 12)).float().mean() < 0.5
    assert len(ids[:, 0].unique()) > 15, "beginnings differ"


def test_draws_have_the_models_own_law(llama):
    start = OwnText(count=4000, window=2, begin=(1,), batch=4000)
    ids = write_itself(llama, start)
    with torch.no_grad():
        p = llama(ids[:, :1]).logits[:, 0].softmax(-1)  # (n, vocabulary)
    expected = p.sum(0)
    seen = ids[:, 1].bincount(minlength=p.shape[1])
    deviation = (p * (1 - p)).sum(0).sqrt()
    assert ((seen - expected).abs() / deviation).max() < 5


def test_the_seed_decides_and_texts_are_the_same_again(llama):
    a, b, c = (write_itself(llama, OwnText(4, 8, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    alone = write_itself(llama, OwnText(4, 8, begin=(8,)), special=(0, 1))
    assert greedy(llama, alone, range(1, 8)).all(), "all of it is greedy"


def test_what_is_no_text_is_refused(llama):
    for bad in ({"count": 0}, {"window": 1}, {"begin": ()}, {"begin": (0,)}):
        with pytest.raises(ValueError, match=r"out of range|no numbers"):
            OwnText(**({"count": 1, "window": 4} | bad))
    everything = range(llama.config.vocab_size)
    with pytest.raises(ValueError, match="are special"):
        write_itself(llama, OwnText(1, 4), special=everything)
