"""Vector-wise int8 and LLM.int8(): bounds as theorems, and bitsandbytes' numbers."""

import math

import pytest
import torch
from torch import nn

from lib.layers.int8 import Int8Linear
from lib.models.walk import linear_layers
from lib.quant.outliers.int8 import (
    EXACT_TERMS,
    int8_product,
    llm_int8,
    outlier_features,
    quantize_rows,
    rescale,
)

# bitsandbytes 0.50.2 writes 1 / 127² = 6.2000124e-05 as 6.200124e-05 on a CPU.
SLIP = 1 / 127**2 / 6.200124e-05


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer(inputs, outputs, bias=True, seed=2):
    """An `nn.Linear` of weights drawn here, whatever was drawn before."""
    linear, draw = nn.Linear(inputs, outputs, bias=bias), torch.Generator()
    draw.manual_seed(seed)
    for parameter in linear.parameters():  # as torch would: evenly over ± 1/√inputs
        even = 2 * torch.rand(parameter.shape, generator=draw) - 1
        parameter.data = even / inputs**0.5
    return linear


def with_outliers(tokens=24, features=96, columns=(5, 40), size=60.0):
    x = normal(tokens, features)
    x[:, list(columns)] = size * x[:, list(columns)].sign()
    return x


def test_a_product_that_can_be_checked_by_hand():
    x, w = torch.tensor([[127.0, 1.0]]), torch.tensor([[1.0, 127.0], [0.0, 2.0]])
    x_codes, x_constants = quantize_rows(x)
    w_codes, w_constants = quantize_rows(w)
    assert x_codes.tolist() == [[127, 1]] and w_codes.tolist() == [[1, 127], [0, 127]]
    out = int8_product(x_codes, w_codes)
    assert out.tolist() == [[254, 127]] and out.dtype == torch.int32
    assert rescale(out, x_constants, w_constants).tolist() == [[254.0, 2.0]]


@pytest.mark.parametrize("features", [1, 7, EXACT_TERMS, EXACT_TERMS + 1, 4096])
def test_the_int32_sums_are_exact(features):
    random = torch.Generator().manual_seed(features)
    x = torch.randint(-127, 128, (9, features), generator=random, dtype=torch.int8)
    w = torch.randint(-127, 128, (5, features), generator=random, dtype=torch.int8)
    x[0], w[0] = 127, 127  # the largest sum there can be
    x[1] = -127
    assert torch.equal(int8_product(x, w).long(), x.long() @ w.long().T)


@pytest.mark.parametrize("vectorwise", [True, False])
def test_no_value_moves_more_than_half_a_step(vectorwise):
    x = normal(50, 33) * torch.logspace(-3, 3, 50)[:, None]
    codes, constants = quantize_rows(x, vectorwise=vectorwise)
    moved = (codes * (constants / 127)[:, None] - x).abs() / constants[:, None]
    worst = moved.max() * 254
    assert worst <= 1 + 1e-4, f"{worst} half-steps"  # float32: 127 · 2^-24 of a step


def test_the_products_error_is_within_its_bound():
    x, w = normal(20, 300), normal(30, 300, seed=1)
    error = (llm_int8(x, w, threshold=math.inf) - x @ w.T).abs()
    bound = 300 * torch.outer(x.abs().amax(1), w.abs().amax(1)) / 127
    assert (error <= bound).all()


def test_zeros_and_tiny_rows_survive():
    x = torch.tensor([[0.0, 0.0], [1e-40, -1e-40], [3e38, -3e38]])
    codes, constants = quantize_rows(x)
    assert codes.tolist() == [[0, 0], [0, 0], [127, -127]]
    assert constants.isfinite().all()


def test_outliers_ruin_int8_and_llm_int8_mends_it():
    x, w = with_outliers(), normal(64, 96, seed=1)
    w[:, [5, 40]] /= 50  # as in a model that works: what is large meets small weights
    exact = x @ w.T
    plain = (llm_int8(x, w, threshold=math.inf) - exact).square().mean().sqrt()
    mixed = (llm_int8(x, w) - exact).square().mean().sqrt()
    assert mixed < plain / 10, f"rmse {mixed:.4f} against {plain:.4f}"


def test_one_constant_for_the_whole_tensor_is_plain_absmax():
    x = normal(50, 33) * torch.logspace(-3, 3, 50)[:, None]
    codes, constants = quantize_rows(x, vectorwise=False)
    assert constants.shape == (50,) and (constants == x.abs().max()).all()
    assert codes[0].abs().max() == 0, "the smallest row is lost in the largest's step"
    assert quantize_rows(x)[0].abs().amax(1).tolist() == [127] * 50


def test_the_threshold_itself_is_an_outlier():
    x = torch.tensor([[1.0, 6.0, -6.0, 5.999], [0.0, 0.0, 0.0, -7.0]])
    assert outlier_features(x).tolist() == [1, 2, 3]
    assert outlier_features(x[:1], threshold=6.5).tolist() == []


def test_all_features_outliers_is_the_exact_product():
    x, w = with_outliers(columns=tuple(range(96))), normal(8, 96)
    assert torch.allclose(llm_int8(x, w), x @ w.T, rtol=1e-6)


def test_the_layer_agrees_with_the_function_on_known_features():
    linear = layer(96, 64)
    linear.weight.data = linear.weight.data.half().float()  # so that float16 keeps it
    x = with_outliers()
    ours = Int8Linear(linear, features=outlier_features(x))
    expected = llm_int8(x, linear.weight) + linear.bias
    assert torch.allclose(ours(x), expected, atol=1e-4)
    batched = ours(x.view(2, 12, 96))
    assert batched.shape == (2, 12, 64)


def test_the_layer_keeps_unknown_outliers_as_inputs():
    linear, x = layer(96, 64, bias=False), with_outliers()
    ours, plain = Int8Linear(linear), Int8Linear(linear, threshold=math.inf)
    exact = linear(x)
    assert (ours(x) - exact).norm() < (plain(x) - exact).norm() / 3


def test_the_layer_really_is_small():
    linear = layer(512, 256, bias=False)
    ours = Int8Linear(linear, features=[3, 7])
    assert ours.nbytes == 256 * 512 + 4 * 256 + 2 * (256 * 2) + 2 * 8
    assert ours.nbytes < 0.27 * linear.weight.nbytes


def test_a_saved_layer_loads():
    one, two = (Int8Linear(layer(32, 8, seed=k), features=[1]) for k in range(2))
    x = normal(4, 32)
    assert not torch.equal(one(x), two(x)), "they are the same before"
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(x), two(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantize_rows(torch.ones(0, 3)), r"\(0, 3\)"),
        (lambda: quantize_rows(torch.ones(2, 3).int()), "int32"),
        (lambda: quantize_rows(torch.tensor([[1.0, torch.nan]])), "1 NaN or infinite"),
        (lambda: llm_int8(torch.ones(2, 3), torch.ones(2, 4)), r"\(2, 3\).*\(2, 4\)"),
        (lambda: llm_int8(*[torch.ones(2, 3)] * 2, threshold=0.0), "threshold=0"),
        (lambda: llm_int8(*[torch.ones(2, 3)] * 2, threshold=math.nan), "nan"),
        (lambda: Int8Linear(layer(3, 2), features=[3]), "3 to 3 .* layer's 3"),
    ],
)
def test_bad_input_is_named(call, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        call()


def test_bitsandbytes_gives_the_same_codes_constants_and_product():
    functional = pytest.importorskip("bitsandbytes").functional
    x, w = normal(33, 1536), normal(70, 1536, seed=1)
    x_codes, x_constants = quantize_rows(x)
    w_codes, w_constants = quantize_rows(w)
    for mine, given in (((x_codes, x_constants), x), ((w_codes, w_constants), w)):
        codes, constants, _ = functional.int8_vectorwise_quant(given)
        assert torch.equal(mine[0], codes) and torch.equal(mine[1], constants)
    out = functional.int8_linear_matmul(x_codes, w_codes)
    assert torch.equal(int8_product(x_codes, w_codes), out)
    theirs = torch.ops.bitsandbytes.int8_mm_dequant(
        out, x_constants, w_constants, torch.float32
    )
    mine = rescale(out, x_constants, w_constants)
    assert torch.allclose(mine, theirs * SLIP, rtol=1e-6, atol=0)


def test_bitsandbytes_gives_smollm2_the_same_codes_and_constants(smollm2):
    functional = pytest.importorskip("bitsandbytes").functional
    block = [
        (name, linear.weight)
        for name, linear in linear_layers(smollm2[0]).items()
        if name.split(".")[2] == "12"
    ]
    assert len(block) == 7
    for name, w in block:
        codes, constants, _ = functional.int8_vectorwise_quant(w)
        mine = quantize_rows(w)
        assert torch.equal(mine[0], codes) and torch.equal(mine[1], constants), name


def test_bitsandbytes_mixed_product_agrees():
    functional = pytest.importorskip("bitsandbytes").functional
    x, linear = with_outliers(), layer(96, 64, bias=False)
    codes, constants, columns = functional.int8_vectorwise_quant(x, threshold=6.0)
    w_codes, w_constants, _ = functional.int8_vectorwise_quant(linear.weight.data)
    theirs, _ = torch.ops.bitsandbytes.int8_mixed_scaled_mm(
        x, codes, w_codes, constants, w_constants, columns
    )
    assert columns.tolist() == outlier_features(x).tolist()
    # The slip moves only the int8 part, so a relative 2e-5 of the result is allowed.
    assert torch.allclose(Int8Linear(linear)(x), theirs, rtol=2e-5, atol=2e-4)
