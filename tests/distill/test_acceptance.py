"""A target never refuses itself, and a loop is where its tokens come back."""

import pytest
import torch

from lib.distill.acceptance import acceptance, loop_start, read, target_texts
from tests.conftest import llama_of


@pytest.fixture
def pair():
    """A target, and the same with its weights disturbed."""
    target, draft = llama_of(num_hidden_layers=1), llama_of(num_hidden_layers=1)
    noise = torch.Generator().manual_seed(1)
    for p in draft.parameters():
        p.add_(0.3 * p.std().nan_to_num() * torch.randn(p.shape, generator=noise))
    return target, draft


def test_a_target_accepts_itself(pair):
    target, draft = pair
    texts = target_texts(target, [[3, 1, 4], [1, 5, 9]], 16)
    perfect, other = (acceptance(read(d, target, texts)) for d in (target, draft))
    assert perfect["greedy"] == perfect["before_loop"] == 1
    assert perfect["sampled"] == pytest.approx(1, abs=1e-5)
    assert other["greedy"] < 1 and other["sampled"] < 0.999


def test_a_loop_begins_where_eight_tokens_come_back():
    once = list(range(20))
    assert loop_start(once) == 20
    assert loop_start(once + once) == 20
    assert loop_start([1] * 12) == 1
    assert loop_start([*once, *once[:8]]) == 20
    assert loop_start([1, 2, 3], run=8) == 3
    assert loop_start([1, 2, 1, 2], run=2) == 2
