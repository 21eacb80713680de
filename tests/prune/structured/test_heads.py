"""A head's importance is an average of sizes, one a text."""

import pytest
import torch

from lib.prune.structured.heads import head_importance


def test_texts_that_pull_a_head_both_ways_do_not_cancel():
    pulls = torch.tensor([[[1.0, 0.1]], [[-1.0, 0.1]]])
    torch.testing.assert_close(head_importance(pulls), torch.tensor([[1.0, 0.1]]))


def test_per_layer_every_layer_has_norm_one_or_nothing(generator):
    gradients = torch.randn(5, 3, 4, generator=generator)
    gradients[:, 1] = 0
    normalized = head_importance(gradients, per_layer=True)
    torch.testing.assert_close(normalized.norm(dim=1), torch.tensor([1.0, 0.0, 1.0]))
    order = head_importance(gradients).argsort(dim=1)
    assert torch.equal(normalized.argsort(dim=1), order)


def test_refusals():
    with pytest.raises(ValueError, match="no examples"):
        head_importance(torch.zeros(0, 2, 2))
    with pytest.raises(ValueError, match="1 gradients not finite"):
        head_importance(torch.tensor([[[1.0, float("inf")]]]))
