"""Merging: exact in float, lost in codes, and how much of it is lost."""

import pytest
import torch
from torch import nn

from lib.layers.packed import PackedLinear
from lib.models.walk import linear_layers
from lib.quant.codebooks.normal_float import NormalFloat
from lib.train.lora import LoRA
from lib.train.merge import merge_into_codes, merge_into_float
from lib.train.qlora import adapter_parameters, add_adapters, quantize_base

IDS = torch.arange(24).view(2, 12)


def tuned(small_llama, size, *, packed=True):
    """A model whose adapters moved each weight by about `size` of its own spread."""
    model = small_llama(hidden_size=64, intermediate_size=128)
    spread = model.config.initializer_range
    if packed:
        quantize_base(model)
    add_adapters(model, LoRA(rank=4, alpha=4))
    draw = torch.Generator().manual_seed(0)
    for parameter in adapter_parameters(model).values():
        parameter.data = torch.randn(parameter.shape, generator=draw)
        parameter.data *= (size * spread) ** 0.5 / 4**0.25
    return model


@pytest.mark.parametrize("packed", [True, False])
def test_into_float_keeps_the_function(small_llama, packed):
    model = tuned(small_llama, 0.3, packed=packed)
    before = model(IDS).logits
    merge_into_float(model)
    assert all(type(layer) is nn.Linear for layer in linear_layers(model).values())
    torch.testing.assert_close(model(IDS).logits, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "least", "most", "fewest"),
    [(1e-3, 0.0, 0.2, 0.0), (0.03, 0.0, 0.6, 0.001), (3.0, 0.95, 1.05, 0.5)],
)
def test_into_codes_an_update_below_the_gaps_is_lost_and_a_large_one_arrives(
    small_llama, size, least, most, fewest
):
    model = tuned(small_llama, size)
    merge = merge_into_codes(model)
    assert merge.weights == 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)
    assert least <= merge.kept <= most
    assert merge.changed / merge.weights >= fewest
    layers = [m for m in model.modules() if isinstance(m, PackedLinear)]
    assert len(layers) == 14


def test_codes_that_did_not_move_give_the_base_back(small_llama):
    model = tuned(small_llama, 0.0)
    base = model(IDS).logits
    merge = merge_into_codes(model)
    assert merge.changed <= 0.001 * merge.weights and merge.kept == 1
    # Constants are quantized again, of other means: Ŵ is not the same to the last bit.
    torch.testing.assert_close(model(IDS).logits, base, rtol=0.05, atol=0.01)


@pytest.mark.parametrize(
    "method", [NormalFloat("fp4"), NormalFloat("nf4", block=32), NormalFloat("nf4")]
)
def test_codes_are_merged_into_codes_of_their_own_kind(small_llama, method):
    model = small_llama(hidden_size=64, intermediate_size=128)
    quantize_base(model, method)
    base = model(IDS).logits
    kinds = {name: m.metadata for name, m in packed_layers(model).items()}
    add_adapters(model, LoRA(rank=4))  # B = 0, and constants that are not quantized
    merge = merge_into_codes(model)  # FP4 has two zeros, one of which changes its sign
    assert merge.changed < 0.01 * merge.weights
    assert {name: m.metadata for name, m in packed_layers(model).items()} == kinds
    assert torch.equal(model(IDS).logits, base)


def packed_layers(model):
    return {n: m for n, m in model.named_modules() if isinstance(m, PackedLinear)}


def test_what_cannot_be_merged_is_refused_and_stays(small_llama):
    model = small_llama()
    for merge in (merge_into_codes, merge_into_float):
        with pytest.raises(ValueError, match="no layer of the model has an adapter"):
            merge(model)
    model = tuned(small_llama, 0.3, packed=False)
    before = model(IDS).logits
    with pytest.raises(ValueError, match=r"q_proj's base is in no 4-bit codes"):
        merge_into_codes(model)
    assert torch.equal(model(IDS).logits, before)
