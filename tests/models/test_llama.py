"""The table of a Llama's blocks: which module feeds which, and who says no."""

import pytest
import torch
from torch import nn

from lib.models.llama import FEEDS, feeds, head_dim, norm_feeds
from lib.models.walk import linear_layers


def test_every_linear_layer_is_read_once_in_the_order_of_the_model(tiny_llama):
    found = feeds(tiny_llama)
    readers = [name for feed in found for name in feed.readers]
    assert sorted(readers) == sorted(linear_layers(tiny_llama))
    assert len(found) == 2 * 4
    before = [feed.name.removeprefix("model.layers.0.") for feed in found[:4]]
    assert before == [source for source, _ in FEEDS]


def test_norms_feed_q_k_v_and_gate_and_up(tiny_llama):
    found = norm_feeds(tiny_llama)
    assert [feed.name for feed in found[2:]] == [
        "model.layers.1.input_layernorm",
        "model.layers.1.post_attention_layernorm",
    ]
    assert list(found[2].readers) == [
        f"model.layers.1.self_attn.{name}_proj" for name in "qkv"
    ]


def test_a_factor_moves_along_every_feed(tiny_llama):
    """Channel j of a source is column j of its readers: what the table promises."""
    ids = torch.arange(12)[None]
    before, head = tiny_llama(ids).logits, head_dim(tiny_llama.config)
    for feed in feeds(tiny_llama):
        rows = feed.source.weight.shape[0]
        s = torch.rand(rows, generator=torch.Generator().manual_seed(rows)) + 0.5
        shared = next(iter(feed.readers.values())).in_features // rows
        columns = s.view(-1, 1, head if shared > 1 else rows).expand(-1, shared, -1)
        for reader in feed.readers.values():
            reader.weight.div_(columns.flatten())
        feed.source.weight.mul_(s if feed.from_norm else s[:, None])
    assert torch.allclose(tiny_llama(ids).logits, before, rtol=1e-4, atol=1e-6)


def test_other_shapes_are_refused_by_name(tiny_llama):
    with pytest.raises(ValueError, match="Sequential is not Llama-shaped: no block"):
        feeds(nn.Sequential(nn.Linear(4, 4)))
    del tiny_llama.model.layers[0].mlp.up_proj
    with pytest.raises(ValueError, match=r"no model\.layers\.0\.mlp\.up_proj"):
        feeds(tiny_llama)
