"""The integer layer computes what its equation says, up to one last rounding."""

import pytest
import torch
from torch import nn

from lib.layers.w8a8 import MOST_INPUTS, W8A8Linear
from lib.quant import (
    Histogram,
    dequantize,
    fit_grid,
    int8_matmul,
    quantize,
    static_grid,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def a_layer(k=96, n=40, *, bias=True, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(k, n, bias=bias)


@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 1, 1), (3, 5, 7), (16, 31, 33), (17, 64, 8), (65, 257, 129)]
)
def test_the_product_is_exact(m, k, n):
    a, b = (
        torch.randint(-128, 128, s, dtype=torch.int8, generator=seeded())
        for s in ((m, k), (k, n))
    )
    product = int8_matmul(a, b)
    assert product.dtype == torch.int32
    assert torch.equal(product.long(), a.long() @ b.long())
    assert torch.equal(int8_matmul(a, b.T.contiguous().T).long(), a.long() @ b.long())


def test_the_largest_sums_fit_int32():
    a = torch.full((1, MOST_INPUTS), -128, dtype=torch.int8)
    b = torch.full((MOST_INPUTS, 1), 127, dtype=torch.int8)
    corrected = int8_matmul(a, b) - 127 * b.sum(0, dtype=torch.int32)
    assert corrected.item() == -255 * 127 * MOST_INPUTS >= -(2**31)


@pytest.mark.parametrize("inputs", ["token", "tensor", "static", "symmetric"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_layer_is_the_product_of_the_rounded_matrices(inputs, bias):
    linear = a_layer(bias=bias)
    x = torch.randn(2, 9, 96, generator=seeded(1)) + 0.7  # off-centre: zero point ≠ 0
    if inputs in ("static", "symmetric"):
        seen = Histogram().observe(x)
        inputs = static_grid(seen, "mse", symmetric=inputs == "symmetric")
    layer = W8A8Linear.from_linear(linear, inputs=inputs)
    tokens = x.flatten(0, 1)
    grid = layer.input_grid(tokens)
    x_hat = dequantize(quantize(tokens, grid), grid).double()
    w_hat = (layer.codes * layer.scale[:, None]).double()
    expected = (x_hat @ w_hat.T).unflatten(0, (2, 9))
    expected += linear.bias.detach() if bias else 0
    # each factor s q of the reference rounds once, and so does the layer's product
    room = 4 * 2**-24 * (x_hat.abs() @ w_hat.abs().T).max().item()
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-6, atol=room)


@pytest.mark.parametrize("inputs", ["token", "tensor"])
def test_the_error_obeys_the_half_step_bound_of_both_factors(inputs):
    linear = a_layer()
    layer = W8A8Linear.from_linear(linear, inputs=inputs)
    x = torch.randn(17, 96, generator=seeded(2))
    dx = layer.input_grid(x).scale / 2  # (17, 1) or (1, 1)
    dw = layer.scale / 2
    w_size = linear.weight.detach().abs().sum(1)
    bound = dx * w_size + x.abs().sum(1, keepdim=True) * dw + 96 * dx * dw
    assert ((layer(x) - linear(x)).abs() <= bound * 1.0001 + 1e-6).all()


def test_one_outlier_token_spares_the_others_only_per_token():
    linear = a_layer()
    x = torch.randn(17, 96, generator=seeded(3))
    x[0] *= 1000
    error = {
        inputs: (W8A8Linear.from_linear(linear, inputs=inputs)(x) - linear(x))[1:]
        .square()
        .mean()
        .item()
        for inputs in ("token", "tensor")
    }
    assert error["tensor"] > 100 * error["token"]


@pytest.mark.parametrize("inputs", ["token", "static"])
def test_the_state_travels(inputs, tmp_path):
    x = torch.randn(4, 96, generator=seeded(4))
    grid = fit_grid(x, bits=8, group="tensor") if inputs == "static" else inputs
    layer = W8A8Linear.from_linear(a_layer(), inputs=grid)
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    other = W8A8Linear(96, 40, inputs=inputs)
    other.load_state_dict(torch.load(tmp_path / "layer.pt", weights_only=True))
    assert torch.equal(other(x), layer(x))
    size = sum(value.nbytes for value in layer.state_dict().values())
    assert size < a_layer().weight.nbytes / 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_in_and_out_have_one_dtype(dtype):
    linear = a_layer().to(dtype)
    x = torch.randn(3, 96, generator=seeded(5)).to(dtype)
    for layer in (W8A8Linear.from_linear(linear), W8A8Linear(96, 40)):
        assert layer(x).dtype == dtype and layer(x).shape == (3, 40)


def test_refuses_what_it_cannot_multiply(as_a_user):
    layer = W8A8Linear.from_linear(a_layer())
    with pytest.raises(ValueError, match="x has 95 features, not 96"):
        layer(torch.ones(2, 95))
    with pytest.raises(ValueError, match="holds 192 NaN"):
        layer(torch.full((2, 96), torch.nan))
    with pytest.raises(ValueError, match="inputs='row' is none of"):
        W8A8Linear(96, 40, inputs="row")
    with pytest.raises(ValueError, match="in_features=70000 is not in 1 to 66311"):
        W8A8Linear(70_000, 1)
    with pytest.raises(ValueError, match=r"a static input grid is \(1, 1\)"):
        grid = fit_grid(torch.ones(2, 4), bits=8, group="channel")
        W8A8Linear.from_linear(a_layer(), inputs=grid)
    with pytest.raises(ValueError, match="int8 times int8"):
        int8_matmul(torch.ones(2, 2), torch.ones(2, 2))
