"""The small experiments choose what they say: groups, columns, starts."""

import pytest
import torch

from lib.bench.roundings.clipping import KIND, choices, far
from lib.bench.roundings.salient import kept_columns, scorers
from lib.bench.roundings.starts import LEVELS, from_start
from lib.quant.codebooks.codebook import nearest, quantile_levels

NAMES = [f"layers.0.x.{k}_proj" for k in ("q", "k", "v", "o", "gate", "up", "down")]


@pytest.fixture
def w(generator):
    """(4, 128) with one weight far out, in row 1 and the second group."""
    w = torch.randn(4, 128, generator=generator)
    w[1, 70] = 60.0
    return w


def test_a_group_is_far_that_holds_a_weight_far_out(w):
    expected = torch.zeros(4, 128 // KIND["group"], dtype=torch.bool)
    expected[1, 1] = True
    assert torch.equal(far(w), expected)


def test_choices_part_the_groups(w):
    chosen = {name: [choose(n, w) for n in NAMES] for name, choose in choices()}
    for near, away in zip(chosen["all but far"], chosen["far only"], strict=True):
        assert not (near & away).any() and (near | away).all()
    kinds = [masks for name, masks in chosen.items() if name not in PARTS]
    assert len(kinds) == len(NAMES)
    for k in range(len(NAMES)):
        assert sum(masks[k].all().item() for masks in kinds) == 1, NAMES[k]
        assert sum(masks[k].any().item() for masks in kinds) == 1, NAMES[k]


PARTS = ("none", "all", "all but far", "far only")


def test_one_per_cent_of_the_columns_is_kept():
    scores = torch.rand(576, generator=torch.Generator().manual_seed(0))
    kept = kept_columns(scores)
    rest = torch.ones(576, dtype=torch.bool).index_fill(0, kept, False)
    assert len(kept) == 6 and scores[kept].min() > scores[rest].max()
    assert len(kept_columns(scores[:20])) == 1


def test_columns_are_scored_by_what_the_row_says(w):
    magnitude = torch.arange(128.0)
    scores = {
        name: score and score("layer", w)
        for name, score in scorers({"layer": magnitude})
    }
    assert scores["none"] is None and scores["by weight"].argmax() == 70
    assert torch.equal(scores["by activation"], magnitude)
    assert not torch.equal(scores["at random, 0"], scores["at random, 1"])


def test_lloyd_never_leaves_its_start_for_worse(w):
    low, high = w.aminmax(dim=1, keepdim=True)
    even = low + (high - low) * torch.linspace(0, 1, LEVELS)
    for start, levels in (("even", even), ("quantiles", quantile_levels(w, LEVELS))):
        before = (levels.gather(1, nearest(w, levels)) - w).square().sum(1)
        rounded = from_start(w, start)
        assert ((rounded - w).square().sum(1) <= before).all(), start
        assert max(len(row.unique()) for row in rounded) <= LEVELS
