"""Scores are what their equations say, in whatever batches they come."""

import pytest
import torch

from lib.prune.structured.importance import (
    BlockInfluence,
    Importance,
    gates_of,
    kept_in_groups,
    kept_of,
)


def test_importance_is_a_mean_over_tokens_and_l2_over_sequences(generator):
    x = torch.randn(6, 11, 5, generator=generator)
    whole, pieces = Importance(5), Importance(5)
    whole.add(x)
    for piece in x.split(2):
        pieces.add(piece)
    expected = x.double().abs().mean(1).norm(dim=0)
    torch.testing.assert_close(whole.score, expected)
    torch.testing.assert_close(pieces.score, expected)


def test_a_sign_that_changes_does_not_make_a_channel_unimportant():
    steady, wild = torch.full((1, 8, 1), 0.5), torch.tensor([1.0, -1.0] * 4)
    both = Importance(2)
    both.add(torch.cat((steady, wild.view(1, 8, 1)), 2))
    assert both.score[1] > both.score[0]


def test_influence_of_layers_that_do_nothing_turn_and_reverse(generator):
    h = torch.randn(3, 7, 4, generator=generator)
    across = torch.stack((-h[..., 1], h[..., 0], -h[..., 3], h[..., 2]), -1)
    for after, expected in ((2 * h, 0.0), (across, 1.0), (-h, 2.0)):
        influence = BlockInfluence()
        influence.add(h, after)
        influence.add(h[:1], after[:1])
        assert influence.score == pytest.approx(expected, abs=1e-12)


def test_the_best_stay_in_their_order_and_ties_go_to_the_earlier():
    score = torch.tensor([3.0, 1.0, 3.0, 2.0, 3.0, 0.0])
    assert kept_of(score, 2).tolist() == [0, 2]
    assert kept_of(score, 4).tolist() == [0, 2, 3, 4]
    assert kept_in_groups(score, 2, 1).tolist() == [0, 4]
    assert kept_in_groups(score, 3, 1).tolist() == [0, 2, 4]


def test_gates_are_open_for_the_best_of_each_row_and_no_others(generator):
    scores = torch.randn(5, 9, generator=generator)
    gates = gates_of(scores, 4)
    assert gates.sum(1).tolist() == [4] * 5
    for row, score in zip(gates, scores, strict=True):
        assert row.nonzero().flatten().equal(kept_of(score, 4))


def test_refusals():
    with pytest.raises(ValueError, match="no sequence"):
        _ = Importance(3).score
    with pytest.raises(ValueError, match="no tokens"):
        Importance(3).add(torch.zeros(2, 0, 3))
    with pytest.raises(ValueError, match="no token"):
        _ = BlockInfluence().score
    with pytest.raises(ValueError, match="no direction"):
        BlockInfluence().add(torch.zeros(1, 2), torch.ones(1, 2))
    with pytest.raises(ValueError, match="count=4 of 3"):
        kept_of(torch.ones(3), 4)
    with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
        kept_of(torch.tensor([1.0, float("nan")]), 1)
    with pytest.raises(ValueError, match="5 heads are not 2 equal groups"):
        kept_in_groups(torch.ones(5), 2, 1)
