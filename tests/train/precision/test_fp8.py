"""FP8 by tensor, tile and block; and torch's own FP8 product."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.formats import BF16, FP8_E4M3, FP8_E5M2, FP16, round_to
from lib.train.precision.fp8 import (
    Delayed,
    by_tensor,
    cast,
    codes,
    deepseek_v3,
    largest,
    native,
    scaled,
)
from lib.train.precision.matmul import linear

FORMATS = [FP8_E4M3, FP8_E5M2]


def spread(*shape, seed=0):
    """Normal numbers, rows and columns of very different size."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=draw)
    for axis in (-1, -2):
        size = [1] * len(shape)
        size[axis] = shape[axis]
        x = torch.ldexp(x, torch.randint(-8, 9, size, generator=draw))
    return x


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
def test_the_processors_cast_is_round_to(fmt):
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(
        -(2**31), 2**31 - 1, (200_000,), generator=draw, dtype=torch.int64
    )
    x = x.to(torch.int32).view(torch.float32)
    x = torch.cat(
        (x[x.isfinite()], torch.tensor([0.0, -0.0, 448, 464, 1e9, torch.inf]))
    )
    ours = round_to(x, fmt, overflow="saturate")
    assert torch.equal(cast(x, fmt), ours)
    assert torch.equal(cast(x, fmt).signbit(), ours.signbit())
    assert cast(torch.tensor([torch.nan]), fmt).isnan().all()


@given(
    st.sampled_from(FORMATS),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([None, 1, 3, 7]),
    st.sampled_from([None, 1, 4, 9]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_tiles_are_rounded_each_by_its_own_scale(fmt, high, wide, rows, cols, power):
    x = spread(high, wide)
    y = scaled(x, fmt, rows=rows, cols=cols, power_of_two=power)
    r, c = rows or high, cols or wide
    for i in range(0, high, r):
        for j in range(0, wide, c):
            tile, ours = x[i : i + r, j : j + c], y[i : i + r, j : j + c]
            s = tile.abs().max() / fmt.max
            if power:
                s = 2 ** s.log2().ceil()
            assert torch.equal(ours, round_to(tile / s, fmt, overflow="saturate") * s)


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
def test_an_error_is_bounded_by_the_number_and_by_its_tile(fmt):
    x = spread(64, 256)
    error = (scaled(x, fmt, rows=1, cols=128) - x).abs()
    s = (largest(x, 1, 128) / fmt.max).repeat_interleave(128, -1)
    relative, least = 2.0 ** -(fmt.fraction_bits + 1), fmt.smallest_subnormal / 2
    bound = torch.maximum(x.abs() * relative, s * least) * (1 + 1e-5)  # fp32's own
    assert (error <= bound).all()


def test_powers_of_two_leave_what_the_format_holds():
    """So DeepSeek-V3 takes them where one number is rounded twice, along two axes."""
    x = spread(32, 32)
    how = {"cols": 8, "power_of_two": True}
    once = scaled(x, FP8_E5M2, rows=1, **how)
    assert torch.equal(scaled(once, FP8_E5M2, rows=1, **how), once)
    assert torch.equal(scaled(4 * x, FP8_E4M3, **how), 4 * scaled(x, FP8_E4M3, **how))


def test_a_second_rounding_across_is_free_with_powers_of_two():
    """Normal numbers under both scales are in the format already."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(256, 256, generator=draw) * torch.rand(256, 1, generator=draw)
    changed = []
    for power in (False, True):
        how = {"rows": 1, "cols": 128, "power_of_two": power}
        once = scaled(x, FP8_E4M3, **how)
        again = scaled(once.T, FP8_E4M3, **how).T
        changed.append(((again - once).norm() / once.norm()).item())
    assert changed[0] > 0.02 and changed[1] < 1e-4


def test_finer_tiles_lose_less():
    x = spread(256, 256, seed=3)
    errors = [
        (scaled(x, FP8_E4M3, rows=rows, cols=cols) - x).abs().gt(x.abs() / 15).sum()
        for rows, cols in ((None, None), (128, 128), (1, 128), (1, 16))
    ]
    assert errors == sorted(errors, reverse=True) and errors[0] > 4 * errors[2]


def test_square_blocks_commute_with_transposition_and_runs_do_not():
    x = spread(64, 64)
    square = scaled(x, FP8_E4M3, rows=16, cols=16)
    assert torch.equal(square.T, scaled(x.T, FP8_E4M3, rows=16, cols=16))
    run = scaled(x, FP8_E4M3, rows=1, cols=16)
    assert not torch.equal(run.T, scaled(x.T, FP8_E4M3, rows=1, cols=16))


def test_stochastic_rounding_is_unbiased():
    x = torch.linspace(-1, 1, 64).view(1, 64)
    draw = torch.Generator().manual_seed(0)
    n = 4096
    y = scaled(x.expand(n, 64), FP8_E4M3, generator=draw).double()
    gap = (scaled(x, FP8_E4M3) - x).abs().max() * 2 + 1 / 16
    assert ((y.mean(0) - x.double()).abs() < 5 * gap / 2 / n**0.5).all()


def test_zeros_stay_and_what_is_no_number_is_loud():
    x = torch.zeros(4, 8)
    assert torch.equal(scaled(x, FP8_E4M3, rows=1, cols=4), x)
    assert torch.equal(codes(x, FP8_E4M3)[0].float(), x)
    x[0, 0] = torch.inf
    y = scaled(x, FP8_E4M3, rows=1, cols=4)
    assert y[0, :4].isnan().all() and torch.equal(y[1:], x[1:])


def test_delayed_scales_remember_and_saturate():
    quantizer = Delayed(FP8_E4M3, history=2)
    x = torch.tensor([[1.0, 0.3]])
    assert torch.equal(quantizer(x), scaled(x, FP8_E4M3)), "the first takes its own"
    assert quantizer(8 * x)[0, 0] == 1.0, "beyond the largest of the past"
    assert quantizer(8 * x)[0, 0] == 8.0
    quantizer(x), quantizer(x)
    assert quantizer(8 * x)[0, 0] == 1.0, "the 8 is two calls ago and forgotten"


@pytest.mark.parametrize("stacked", [False, True])
def test_torchs_product_is_by_tensor(stacked):
    """The same operands; bf16 results may differ by the order of their fp32 sums."""
    nets = (2,) if stacked else ()
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(*nets, 32, 48, generator=draw).requires_grad_()
    w = torch.randn(*nets, 64, 48, generator=draw).requires_grad_()
    dy = torch.randn(*nets, 32, 64, generator=draw).bfloat16()
    results = []
    for recipe in (by_tensor(), native()):
        y = linear(x, w, recipe)
        gradients = torch.autograd.grad(y, (x, w), dy.to(y.dtype))
        results.append([t.float() for t in (y, *gradients)])
    for a, b in zip(*results, strict=True):
        assert (a - b).abs().max() <= BF16.epsilon * a.abs().max()


def test_deepseeks_recipe_says_who_lies_in_which_tiles():
    recipe = deepseek_v3(tile=16)
    x, w, dy = (spread(n, m, seed=n) for n, m in ((64, 32), (48, 32), (64, 48)))
    x, w = x.requires_grad_(), w.requires_grad_()
    y = linear(x, w, recipe)
    dx, dw = torch.autograd.grad(y, (x, w), dy)

    def run(a):
        return scaled(a.detach(), FP8_E4M3, rows=1, cols=16)

    block = scaled(w.detach(), FP8_E4M3, rows=16, cols=16)
    kept = run(x)
    assert torch.equal(y, round_to(kept @ block.T, BF16))
    assert torch.equal(dx, round_to(run(dy) @ block, BF16)), "the very block of Fprop"
    assert torch.equal(dw, run(dy.T) @ run(kept.T).T), "of the X that was kept"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: scaled(torch.ones(4), FP8_E4M3), r"\(4,\)"),
        (lambda: scaled(torch.ones(0, 4), FP8_E4M3), r"\(0, 4\)"),
        (lambda: scaled(torch.ones(4, 4), FP8_E4M3, rows=0), "0 × None"),
        (lambda: cast(torch.ones(4), FP16), "FP16"),
        (lambda: Delayed(FP8_E4M3, 0), "history=0"),
    ],
)
def test_what_makes_no_sense_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
