"""One kernel for a norm: the same function and gradient, and a rounding less."""

import pytest
import torch
from torch import nn
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from lib.train.loop import next_token_loss
from lib.train.norms import fused_norms


def norm_of(dtype, generator, kind=LlamaRMSNorm):
    norm = kind(48)
    norm.weight.data = torch.rand(48, generator=generator) + 0.5
    return norm.to(dtype)


def exact(norm, x):
    """In float64."""
    wide = x.double()
    mean = wide.square().mean(-1, keepdim=True)
    return norm.weight.double() * wide / (mean + norm.variance_epsilon).sqrt()


def test_function_and_gradients_are_the_equations(generator):
    norm = norm_of(torch.float32, generator)
    x = torch.randn(5, 7, 48, generator=generator, requires_grad=True)
    g = torch.randn(5, 7, 48, generator=generator)
    with fused_norms(nn.Sequential(norm)) as names:
        y = norm(x)
        found = torch.autograd.grad(y, (x, norm.weight), g)
    assert names == ["0"]
    torch.testing.assert_close(y.double(), exact(norm, x), rtol=1e-6, atol=1e-7)
    right = torch.autograd.grad(exact(norm, x), (x, norm.weight), g.double())
    for one, other in zip(found, right, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_16_bits_it_is_nearer_to_the_equation(dtype, generator):
    norm, x = norm_of(dtype, generator), torch.randn(400, 48, generator=generator)
    x, error = x.to(dtype), {}
    error["usual"] = (norm(x).double() - exact(norm, x)).norm()
    with fused_norms(nn.Sequential(norm)):
        y = norm(x)
    error["fused"] = (y.double() - exact(norm, x)).norm()
    assert y.dtype == dtype and error["fused"] < error["usual"]


def test_gemmas_gain_is_another_equation(generator):
    model = nn.Sequential(norm_of(torch.float32, generator, GemmaRMSNorm))
    model[0].variance_epsilon = model[0].eps  # the name alone says nothing
    x = torch.randn(3, 48, generator=generator)
    before = model(x)
    with fused_norms(model) as names:
        assert names == [] and torch.equal(model(x), before)


def test_a_model_is_as_it_was_whatever_happened(small_llama):
    model, ids = small_llama(), torch.arange(12).view(2, 6)
    before = next_token_loss(model, ids)
    with pytest.raises(KeyboardInterrupt), fused_norms(model) as names:
        assert len(names) == 2 * model.config.num_hidden_layers + 1
        torch.testing.assert_close(next_token_loss(model, ids), before)
        raise KeyboardInterrupt
    assert torch.equal(next_token_loss(model, ids), before)
    assert not any("forward" in vars(module) for module in model.modules())
