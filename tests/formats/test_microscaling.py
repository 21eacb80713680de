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
