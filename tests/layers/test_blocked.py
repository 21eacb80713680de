"""Weights in blocks: the same numbers, the same product, another order in memory."""

import copy

import pytest
import torch
from torch import nn

from lib.decode.llama import Llama, Span
from lib.decode.paged import PagedCache, Shape
from lib.layers.blocked import BlockedLinear, block_weights
from tests.conftest import llama_of

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch without oneDNN"
)


def linear(rows: int, cols: int, *, bias: bool = True) -> nn.Linear:
    """A random layer."""
    torch.manual_seed(rows * cols)
    return nn.Linear(cols, rows, bias=bias)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (16, 16), (33, 50), (192, 576)])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (16,), (17,), (2, 3)])
def test_the_product_is_the_layers(rows, cols, bias, shape):
    plain = linear(rows, cols, bias=bias)
    x = torch.randn(*shape, cols)
    y, exact = BlockedLinear(plain)(x), plain.double()(x.double())
    assert y.shape == exact.shape
    # a sum of cols products, in whatever order: Higham's bound of cols · ε each
    bound = (cols + 1) * torch.finfo(torch.float32).eps
    size = x.double().abs() @ plain.weight.abs().T + (plain.bias.abs() if bias else 0)
    assert ((y - exact).abs() <= bound * size).all()


def test_strided_inputs_and_inference_mode():
    plain = linear(12, 20)
    blocked = BlockedLinear(plain)
    for x in (torch.randn(5, 40)[:, ::2], torch.randn(20, 7).T):
        with torch.inference_mode():
            torch.testing.assert_close(blocked(x), plain(x))


def test_the_weights_are_exact_and_are_saved():
    plain = linear(33, 50)
    blocked = BlockedLinear(plain)
    assert torch.equal(blocked.weight, plain.weight)
    saved = blocked.state_dict()
    assert saved.keys() == plain.state_dict().keys()
    assert all(torch.equal(saved[name], w) for name, w in plain.state_dict().items())


def test_refusals():
    with pytest.raises(ValueError, match="float64 on cpu"):
        BlockedLinear(linear(4, 4).double())
    with pytest.raises(ValueError, match="3 wide, and W has 4"):
        BlockedLinear(linear(4, 4))(torch.zeros(2, 3))
    half = nn.Sequential(linear(4, 4), linear(4, 4).half())
    with pytest.raises(ValueError, match="float16"):
        block_weights(half)
    assert all(type(layer) is nn.Linear for layer in half)


def test_a_layer_with_two_places_stays_one():
    shared = linear(4, 4)
    model = nn.ModuleDict({"a": shared, "b": nn.Sequential(shared, shared)})
    assert block_weights(model) == 1
    assert model["a"] is model["b"][0] is model["b"][1]
    assert type(model["a"]) is BlockedLinear
    assert block_weights(model) == 0


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_and_the_engine_go_on_with_it(tied):
    model = llama_of(tie_word_embeddings=tied)
    plain = copy.deepcopy(model)
    assert block_weights(model) == 7 * model.config.num_hidden_layers + 1
    assert torch.equal(
        model.get_input_embeddings().weight, plain.get_input_embeddings().weight
    )
    tokens = torch.arange(1, 12)
    with torch.no_grad():
        expected = plain(tokens[None]).logits[0]
        torch.testing.assert_close(model(tokens[None]).logits[0], expected)
    cache = PagedCache(Shape.of(model), 4)
    rows = Llama(model)([Span(1, tuple(tokens.tolist()), len(tokens))], cache)
    torch.testing.assert_close(rows, expected)
