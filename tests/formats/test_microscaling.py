"""`lib.formats.microscaling` against a scalar reference over ml_dtypes' elements."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.formats.microscaling import (
    MXFP4,
    MXFP6_E2M3,
    MXFP6_E3M2,
    MXFP8_E4M3,
    MXFP8_E5M2,
    MXINT8,
    NVFP4,
    block_scales,
    dequantize_blocks,
    quantize_blocks,
    round_to_blocks,
)

ELEMENTS = [
    (MXFP8_E4M3, ml_dtypes.float8_e4m3fn),
    (MXFP8_E5M2, ml_dtypes.float8_e5m2),
    (MXFP6_E2M3, ml_dtypes.float6_e2m3fn),
    (MXFP6_E3M2, ml_dtypes.float6_e3m2fn),
    (MXFP4, ml_dtypes.float4_e2m1fn),
]
MX = [fmt for fmt, _ in ELEMENTS] + [MXINT8]


def name(parameter):
    return getattr(parameter, "name", "")


def weights(rows, cols, seed=0):
    """Normal numbers whose rows differ in scale by up to 2^±20."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(rows, cols, generator=generator)
    exponents = torch.randint(-20, 21, (rows, 1), generator=generator)
    return torch.ldexp(w, exponents)


@pytest.mark.parametrize(("fmt", "dtype"), ELEMENTS, ids=name)
def test_codes_and_scales_are_those_of_the_standards_formula(fmt, dtype):
    x = weights(64, 96)
    blocks = quantize_blocks(x, fmt)
    largest = float(ml_dtypes.finfo(dtype).max)
    for row in range(64):
        for i in range(3):
            block = x[row, 32 * i : 32 * i + 32].double().numpy()
            shared = math.frexp(abs(block).max())[1] - math.frexp(largest)[1]
            assert blocks.scales[row, i] == shared + 127
            scaled = np.clip(np.ldexp(block, -shared), -largest, largest)
            codes = scaled.astype(dtype).view(np.uint8)
            ours = blocks.codes[row, 32 * i : 32 * i + 32].numpy()
            assert (ours == codes).all()


def test_e8m0_codes_mean_what_torch_says():
    x = torch.ldexp(torch.ones(255, 1), torch.arange(-127, 128)[:, None]).double()
    blocks = quantize_blocks(x.repeat(1, 32) * 4, MXFP4)  # 4 is E2M1's top power of two
    theirs = blocks.scales.view(torch.float8_e8m0fnu).double()
    assert torch.equal(theirs, x)
    assert torch.equal(dequantize_blocks(blocks), 4 * x.repeat(1, 32))
    blocks.scales.fill_(255)
    assert dequantize_blocks(blocks).isnan().all()


@pytest.mark.parametrize("fmt", [*MX, NVFP4], ids=name)
def test_elements_fill_their_range(fmt):
    x = weights(64, 96)
    scales, tensor_scale = block_scales(x, fmt)
    scaled = x.double().unflatten(-1, (-1, fmt.block)).abs().amax(-1)
    scaled /= scales * tensor_scale
    if fmt is NVFP4:  # the row scales differ by more than E4M3's range: some underflow
        scaled = scaled[scales > fmt.scale.smallest_normal]
        assert (scaled <= 6 * (1 + 2**-4)).all() and (scaled >= 6 / (1 + 2**-4)).all()
    else:
        top = 2.0**fmt.element.max_exponent
        assert (scaled >= top).all() and (scaled < 2 * top).all()


@pytest.mark.parametrize("fmt", MX, ids=name)
def test_a_block_of_the_format_stays(fmt):
    once = round_to_blocks(weights(64, 96), fmt)
    assert torch.equal(round_to_blocks(once, fmt), once)


@given(st.sampled_from(MX), st.lists(st.floats(-1e30, 1e30), min_size=32, max_size=32))
@settings(max_examples=200)
def test_error_is_half_a_gap_or_what_clipping_takes(fmt, numbers):
    x = torch.tensor(numbers, dtype=torch.float64)
    scales, _ = block_scales(x, fmt)
    y, scale = round_to_blocks(x, fmt), Fraction(scales.item())
    element = fmt.element
    for value, rounded in zip(x.tolist(), y.tolist(), strict=True):
        error = abs(Fraction(rounded) - Fraction(value)) / scale
        size = abs(Fraction(value)) / scale
        half_gap = Fraction(element.smallest_subnormal) / 2
        half_gap = max(half_gap, size * Fraction(2) ** -element.fraction_bits / 2)
        clipped = max(size - Fraction(element.max), Fraction(0))
        assert error <= max(half_gap, clipped)


def test_mxint8_is_a_step_of_one_64th():
    x = weights(64, 96)
    scales, _ = block_scales(x, MXINT8)
    k = (round_to_blocks(x, MXINT8).double().unflatten(-1, (-1, 32)) * 64) / scales[
        ..., None
    ]
    expected = (x.double().unflatten(-1, (-1, 32)) * 64 / scales[..., None]).round()
    assert torch.equal(k, expected.clamp(-127, 127))


def test_nvfp4_follows_its_two_scales():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(32, 64, generator=generator)
    blocks = quantize_blocks(x, NVFP4)
    largest = x.unflatten(-1, (-1, 16)).abs().amax(-1)
    tensor_scale = np.float32(x.abs().max().double().item() / (6 * 448))
    assert blocks.tensor_scale == tensor_scale
    wanted = (largest.double() / 6 / float(tensor_scale)).numpy()
    scales = wanted.astype(ml_dtypes.float8_e4m3fn)
    assert (blocks.scales.numpy() == scales.view(np.uint8)).all()
    step = torch.from_numpy(scales.astype(np.float64)) * blocks.tensor_scale
    scaled = x.double().unflatten(-1, (-1, 16)) / step[..., None]
    codes = scaled.flatten(-2).numpy().clip(-6, 6).astype(ml_dtypes.float4_e2m1fn)
    assert (blocks.codes.numpy() == codes.view(np.uint8)).all()


def test_bits_per_value_count_the_scales():
    assert MXFP4.bits_per_value == 4.25
    assert NVFP4.bits_per_value == 4.5
    blocks = quantize_blocks(weights(4, 64), NVFP4)
    stored = blocks.codes.numel() * 4 + blocks.scales.numel() * 8
    assert stored / 256 == NVFP4.bits_per_value


@pytest.mark.parametrize("fmt", [*MX, NVFP4], ids=name)
def test_zeros_signs_dtypes_and_shapes_are_kept(fmt):
    zero = torch.zeros(2, 3, 64)
    zero[0, 0, 5] = -0.0
    y = round_to_blocks(zero, fmt)
    assert torch.equal(y, zero) and y[0, 0, 5].signbit()
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        x = torch.linspace(-1, 1, 128).to(dtype)
        assert round_to_blocks(x, fmt).dtype == dtype
    huge, tiny = torch.tensor([3.4e38, 1e-45]).repeat_interleave(32)[None].split(32, 1)
    assert round_to_blocks(huge, fmt).isfinite().all()
    assert round_to_blocks(tiny, fmt).isfinite().all()


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (torch.ones(2, 1000), "block=32 does not divide .* \\(2, 1000\\)"),
        (torch.ones(0, 32), "\\(0, 32\\)"),
        (torch.tensor([math.nan, math.inf] * 16), "32 infinities or NaN"),
        (torch.ones(32, dtype=torch.int64), "int64"),
    ],
)
def test_bad_input_is_refused_with_its_numbers(x, says):
    with pytest.raises(ValueError, match=says):
        quantize_blocks(x, MXFP4)


@pytest.mark.parametrize("fmt", [*MX, NVFP4], ids=name)
def test_square_blocks_share_a_scale_and_commute_with_transposition(fmt):
    x = weights(2 * fmt.block, 3 * fmt.block)
    y = round_to_blocks(x, fmt, square=True)
    assert torch.equal(y.T, round_to_blocks(x.T, fmt, square=True))
    assert not torch.equal(y, round_to_blocks(x, fmt))
    blocks = quantize_blocks(x, fmt, square=True)
    assert blocks.scales.shape == (2, 3)
    assert torch.equal(dequantize_blocks(blocks).float(), y)
    if fmt is not NVFP4:  # each square is a tensor whose rows have one scale
        tile = x[: fmt.block, : fmt.block]
        flat = block_scales(tile.abs().amax().expand(1, fmt.block), fmt)[0]
        assert block_scales(tile, fmt, square=True)[0] == flat


@pytest.mark.parametrize("fmt", [*MX, NVFP4], ids=name)
def test_stochastic_elements_are_neighbours_and_right_in_the_mean(fmt):
    x, n = torch.randn(1, 32, generator=torch.Generator().manual_seed(0)), 4096
    draw = torch.Generator().manual_seed(1)
    how = {"rounding": "stochastic", "generator": draw}
    y = round_to_blocks(x.expand(n, 32), fmt, **how).double()
    scales, t = block_scales(x, fmt)
    steps = (scales * t).repeat_interleave(fmt.block, -1)
    inside = (x.abs() / steps <= fmt.element.max)[0]  # what saturates has another mean
    gaps = y.amax(0) - y.amin(0)
    bound = 5 * gaps / 2 / n**0.5 + 1e-7
    assert ((y.mean(0) - x[0]).abs() <= bound)[inside].all()
    assert all(len(column.unique()) <= 2 for column in y.T)
    assert (gaps <= fmt.element.max * 2 * steps).all() and (gaps > 0).any()


@pytest.mark.parametrize("fmt", MX, ids=name)
def test_powers_of_two_need_no_more_than_float32(fmt):
    x = weights(64, 96)
    how = {"arithmetic": torch.float32}
    assert torch.equal(round_to_blocks(x, fmt, **how), round_to_blocks(x, fmt))
    ours, theirs = quantize_blocks(x, fmt, **how), quantize_blocks(x, fmt)
    assert torch.equal(ours.codes, theirs.codes)
    assert torch.equal(ours.scales, theirs.scales)


def test_float32_moves_what_lies_beside_a_tie_and_nothing_else():
    x = torch.randn(256, 256, generator=torch.Generator().manual_seed(2))
    exact, t = block_scales(x, NVFP4)
    scales, _ = block_scales(x, NVFP4, arithmetic=torch.float32)
    alike = (scales == exact).repeat_interleave(16, -1)
    assert alike.float().mean() > 0.99
    quotient = x.double() / (exact * t).repeat_interleave(16, -1)
    a, b = (
        quantize_blocks(x, NVFP4, arithmetic=arithmetic).codes
        for arithmetic in (torch.float32, torch.float64)
    )
    ties = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
    beside = ((quotient.abs()[..., None] / ties - 1).abs() < 2.0**-21).any(-1)
    assert torch.equal(a[alike & ~beside], b[alike & ~beside])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"square": True}, "square blocks of 32 .* \\(48, 64\\)"),
        ({"arithmetic": torch.float16}, "float16"),
        ({"rounding": "up"}, "rounding='up'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        quantize_blocks(torch.ones(48, 64), MXFP4, **options)


def test_a_single_row_has_no_squares():
    with pytest.raises(ValueError, match="square blocks"):
        round_to_blocks(torch.ones(32), MXFP4, square=True)
