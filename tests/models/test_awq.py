"""AWQ's scaling changes nothing that the model computes, and never costs error."""

import copy

import pytest
import torch

from lib.models.rescale import AWQ, scale_model
from lib.quant.hessian import Hessian
from lib.quant.solvers.awq import awq_scales
from lib.quant.uniform.grouped import round_to_nearest

TOKENS = torch.randint(40, (4, 16), generator=torch.Generator().manual_seed(0))


def layer(seed, cols=32):
    """Weights, and inputs of which two features are 30 times larger."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(300, cols, generator=draw)
    x[:, [3, 20]] *= 30
    stream = Hessian(cols)
    stream.add(x)
    return torch.randn(16, cols, generator=draw), stream


def output_error(w, rounded, stream):
    delta = (w - rounded).double()
    return torch.einsum("ri,ij,rj->", delta, stream.matrix, delta).item()


@pytest.mark.parametrize("seed", range(3))
def test_salient_columns_get_larger_scales_and_the_output_errs_less(seed):
    w, stream = layer(seed)
    settings = AWQ(bits=3, group=16)
    s, alpha = awq_scales(w, stream.matrix, stream.magnitude, settings)
    assert alpha > 0 and set(s.topk(2).indices.tolist()) == {3, 20}
    assert (s.amax() * s.amin()).item() == pytest.approx(1, rel=1e-5)
    plain = round_to_nearest(w, bits=3, group=16).dequantize()
    scaled = round_to_nearest(w * s, bits=3, group=16).dequantize() / s
    assert output_error(w, scaled, stream) < 0.5 * output_error(w, plain, stream)


def test_one_exponent_is_round_to_nearest():
    w, stream = layer(4)
    s, alpha = awq_scales(
        w, stream.matrix, stream.magnitude, AWQ(group=16), exponents=1
    )
    assert alpha == 0 and torch.equal(s, torch.ones_like(s))


def test_the_smallest_of_equal_exponents_is_taken():
    w, stream = layer(4)
    even = torch.full((32,), 0.5, dtype=torch.float64)
    s, alpha = awq_scales(w, stream.matrix, even, AWQ(bits=3, group=16))
    assert alpha == 0 and torch.equal(s, torch.ones_like(s))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(("bits", "group"), [(2, 8), (3, 32), (4, 16)])
@pytest.mark.parametrize("seed", range(4))
def test_the_exponent_of_least_output_error_is_found(bits, group, symmetric, seed):
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(32, 32, generator=draw)  # correlated inputs
    stream = Hessian(32)
    stream.add(torch.randn(300, 32, generator=draw) @ mix)
    w = torch.randn(16, 32, generator=draw)
    errors = {}
    for alpha in (k / 8 for k in range(8)):
        s = stream.magnitude.to(w) ** alpha
        s = s / (s.amax() * s.amin()).sqrt()
        q = round_to_nearest(w * s, bits=bits, group=group, symmetric=symmetric)
        errors[alpha] = output_error(w, q.dequantize() / s, stream)
    settings = AWQ(bits=bits, group=group, symmetric=symmetric)
    _, found = awq_scales(w, stream.matrix, stream.magnitude, settings, exponents=8)
    assert found == min(errors, key=errors.get)


def test_dead_channels_count_as_the_faintest():
    w, stream = layer(5)
    magnitude = stream.magnitude.clone()
    magnitude[7] = 0
    s, _ = awq_scales(w, stream.matrix, magnitude, AWQ(bits=3, group=16))
    assert s.isfinite().all() and s[7] == s.amin()
    with pytest.raises(ValueError, match="all 32 input channels are dead"):
        awq_scales(w, stream.matrix, torch.zeros(32).double(), AWQ(group=16))


def test_a_scaled_model_computes_what_it_did(tiny_llama):
    for block in tiny_llama.model.layers:  # something worth scaling
        block.input_layernorm.weight[3] = 20
        block.mlp.up_proj.weight[5] *= 20
    before = tiny_llama(TOKENS).logits
    weights = copy.deepcopy(tiny_llama.state_dict())
    alphas = scale_model(tiny_llama, TOKENS, AWQ(bits=2, group=8))
    assert len(alphas) == 2 * 4 and max(alphas.values()) > 0
    moved = [n for n, w in tiny_llama.state_dict().items() if (w != weights[n]).any()]
    assert "model.layers.0.input_layernorm.weight" in moved
    worst = (tiny_llama(TOKENS).logits - before).abs().max() / before.abs().max()
    assert worst < 1e-5, f"the logits moved by {worst:.1e} of their size"


def test_biases_are_scaled_with_their_rows(small_llama):
    model = small_llama(num_hidden_layers=1, attention_bias=True, mlp_bias=True)
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    assert len(biases) == 7
    for bias in biases:
        bias.normal_()
    before = model(TOKENS).logits
    alphas = scale_model(model, TOKENS, AWQ(bits=2, group=8))
    assert max(alphas.values()) > 0
    assert torch.allclose(model(TOKENS).logits, before, rtol=1e-4, atol=1e-5)


def test_clipping_weighs_errors_by_the_inputs():
    w, stream = layer(6)
    diagonal = stream.matrix.diagonal()
    clipped = AWQ(bits=3, group=16).quantize(w, stream).dequantize()
    plain = round_to_nearest(w, bits=3, group=16).dequantize()
    errors = [((w - q).double().square() @ diagonal).sum() for q in (clipped, plain)]
    assert errors[0] < errors[1]


def test_a_model_without_llamas_blocks_is_refused():
    with pytest.raises(ValueError, match="not Llama-shaped"):
        scale_model(torch.nn.Sequential(torch.nn.Linear(4, 4)), TOKENS, AWQ())


def test_settings_check_themselves():
    for settings in ({"bits": 9}, {"group": 0}, {"exponents": 0}, {"candidates": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(settings))}="):
            AWQ(**settings)
