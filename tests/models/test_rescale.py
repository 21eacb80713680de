"""Trades through a norm: they keep the function, and move ranges where they should."""

import pytest
import torch
from torch import nn

from lib.models.hooks import capture_inputs
from lib.models.llama import norm_feeds
from lib.models.rescale import plant_outliers, smooth, trade
from lib.quant.outliers.int8 import outlier_features
from lib.quant.outliers.smooth import smoothing_factors

QUERY, GATE = "model.layers.1.self_attn.q_proj", "model.layers.1.mlp.gate_proj"


@pytest.fixture
def model(small_llama):
    return small_llama(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
    )


@pytest.fixture
def windows():
    return torch.randint(0, 96, (3, 16), generator=torch.Generator().manual_seed(1))


def test_planting_by_a_power_of_two_keeps_every_logit_to_the_last_bit(model, windows):
    before = model(windows).logits
    plant_outliers(model, [3, 17], factor=64.0)
    assert torch.equal(model(windows).logits, before)


def test_planting_by_any_factor_keeps_the_logits_to_float_tolerance(model, windows):
    before = model(windows).logits
    plant_outliers(model, [3, 17], factor=50.0)
    assert torch.allclose(model(windows).logits, before, rtol=1e-4, atol=1e-5)


def test_the_planted_channels_become_the_outlier_features(model, windows):
    plant_outliers(model, [3, 17], factor=64.0)
    for x in capture_inputs(model, [QUERY, GATE], windows).values():
        assert outlier_features(x).tolist() == [3, 17]


def test_a_norms_bias_is_traded_with_its_gain(generator):
    norm, linears = nn.LayerNorm(6), [nn.Linear(6, 3), nn.Linear(6, 2)]
    norm.bias.data = torch.randn(6, generator=generator)
    x = torch.randn(4, 6, generator=generator)
    before = [linear(norm(x)) for linear in linears]
    scale = torch.rand(6, generator=generator) + 0.5
    gain, shift = norm.weight * scale, norm.bias * scale
    trade(norm, linears, scale)
    assert torch.equal(norm.weight, gain) and torch.equal(norm.bias, shift)
    for linear, expected in zip(linears, before, strict=True):
        assert torch.allclose(linear(norm(x)), expected, rtol=1e-4, atol=1e-6)
    for bad in (0.0, -1.0, torch.inf, torch.nan):
        with pytest.raises(ValueError, match="not all positive and finite"):
            trade(norm, linears, scale.index_fill(0, torch.tensor([2]), bad))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_smoothing_keeps_the_model(model, windows, alpha):
    before = model(windows).logits
    smooth(model, windows, alpha=alpha)
    assert torch.allclose(model(windows).logits, before, rtol=1e-4, atol=1e-5)


def test_at_one_half_both_sides_of_a_channel_get_the_same_range(model, windows):
    plant_outliers(model, [3], factor=64.0)
    smooth(model, windows, alpha=0.5)
    x = capture_inputs(model, [GATE], windows)[GATE].abs().amax(0)
    linears = norm_feeds(model)[3].readers
    w = torch.cat([linear.weight for linear in linears.values()]).abs().amax(0)
    assert torch.allclose(x, w, rtol=1e-4)


def test_at_one_the_activations_are_flat(model, windows):
    smooth(model, windows, alpha=1.0)
    x = capture_inputs(model, [GATE], windows)[GATE].abs().amax(0)
    assert torch.allclose(x, torch.ones(32), rtol=1e-4)


def test_dead_channels_are_left_alone():
    x, w = torch.tensor([0.0, 4.0, 1.0]), torch.tensor([1.0, 1.0, 0.0])
    assert smoothing_factors(x, w).tolist() == [1.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: plant_outliers(m, [32]), r"\[32\] are not in 0 to 31"),
        (lambda m: plant_outliers(m, []), r"\[\]"),
        (lambda m: plant_outliers(m, [1], factor=-2.0), "-2"),
        (lambda m: plant_outliers(m.lm_head, [1]), "Linear is not Llama-shaped"),
        (lambda m: smoothing_factors(torch.ones(2), torch.ones(3)), "2 .* 3"),
        (lambda m: smoothing_factors(*[torch.ones(2)] * 2, alpha=1.5), r"alpha=1\.5"),
        (lambda m: trade(m.model.norm, [], torch.ones(5)), "5 scales for the 32"),
    ],
)
def test_bad_input_is_named(call, message, model, as_a_user):
    with pytest.raises(ValueError, match=message):
        call(model)
