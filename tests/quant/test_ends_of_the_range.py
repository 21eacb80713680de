"""Weights as large and as small as their dtype has: a bound holds, or a word is said.

    |w − ŵ| ≤ share · max|w| + floor        or ValueError with the number

`floor` is what a format cannot tell from 0: half of fp16's least step times the levels
of a grid, 1e-38 where a block is divided by its largest weight, and so on.
"""

import pytest
import torch

from lib.formats.microscaling import MXFP4, NVFP4, round_to_blocks
from lib.quant.codebooks.normal_float import fake_quantize_4bit
from lib.quant.gguf import BLOCKS, decode, encode
from lib.quant.uniform.grouped import RoundToNearest

SIZES = [0.0, 1e-300, 1e-45, 1e-42, 1e-38, 1e-30, 1e-7, 1.0, 65504.0, 3e38, 1e39, 1e300]
HALF_STEP = 2.0**-25  # of fp16's least scale


def grid(bits, **settings):
    method = RoundToNearest(bits, 32, **settings)
    return lambda w: method.quantize(w).dequantize().double()


def blocks(kind):
    return lambda w: decode(encode(w, kind), kind).double()


# how to round, the share of max|w|, the floor, and what it refuses by saying
FORMATS = {
    "4 bits": (grid(4), 1 / 15, 16 * HALF_STEP, "exceeds fp16|overflow float"),
    "symmetric": (grid(4, symmetric=True), 1 / 13, 8 * HALF_STEP, "exceeds fp16"),
    "clipped": (grid(3, candidates=4), 0.5, 9 * HALF_STEP, "exceeds fp16|overflow"),
    "nf4": (fake_quantize_4bit, 0.16, 1e-38, "scales are kept in float32"),
    "fp4": (lambda w: fake_quantize_4bit(w, kind="fp4"), 1 / 6, 1e-38, "kept in float"),
    "nf4 double": (
        lambda w: fake_quantize_4bit(w, double=True),
        0.2,
        1e-38,
        "kept in float32|overflows float32",
    ),
    "NVFP4": (lambda w: round_to_blocks(w, NVFP4), 1 / 6, 2e-42, "no fp32"),
    "MXFP4": (lambda w: round_to_blocks(w, MXFP4), 1 / 4, 2.0**-128, None),
    "Q8_0": (blocks("Q8_0"), 1 / 200, 128 * HALF_STEP, "exceeds fp16"),
    "Q4_0": (blocks("Q4_0"), 1 / 8, 9 * HALF_STEP, "exceeds fp16"),
    "Q4_1": (blocks("Q4_1"), 1 / 14, 17 * HALF_STEP, "exceeds fp16"),
    "Q4_K": (blocks("Q4_K"), 0.2, 2000 * HALF_STEP, "exceeds fp16"),
}


def weights(size, dtype, shape):
    """Constants, and numbers of both signs, up to `size`."""
    draw = torch.Generator().manual_seed(0)
    w = 2 * torch.rand(4, 256, generator=draw, dtype=torch.float64) - 1
    w[0, 7], w[1, 9] = 1, -1
    return {"even": torch.ones_like(w), "random": w}[shape].mul(size).to(dtype)


@pytest.mark.parametrize("shape", ["even", "random"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", FORMATS)
def test_the_bound_holds_or_a_word_is_said(name, dtype, shape):
    fake, share, floor, words = FORMATS[name]
    refused = []
    for size in SIZES:
        w = weights(size, dtype, shape)
        if not w.isfinite().all():
            continue
        try:
            w_hat = fake(w).double()
        except ValueError as error:
            assert words and any(part in str(error) for part in words.split("|"))
            refused.append(size)
            continue
        if name == "MXFP4" and size > 1e39:
            assert w_hat.abs().amax() == 6 * 2.0**127, "it saturates"
            continue
        error, top = (w_hat - w.double()).abs().amax(), w.double().abs().amax()
        bound = (share + torch.finfo(dtype).eps) * top + floor  # ŵ may be of that dtype
        assert error <= bound, f"{size}: {error:.3g} of {top:.3g}"
    assert not refused or min(refused) >= 65504, f"refused {refused}"


@pytest.mark.parametrize("name", FORMATS)
def test_minus_zero_is_zero(name):
    w_hat = FORMATS[name][0](torch.full((2, 256), -0.0))
    assert (w_hat == 0).all()
    signed = {"NVFP4", "MXFP4"}  # floats have two zeros, and keep them apart
    assert w_hat.signbit().all() == (name in signed)


@pytest.mark.parametrize("kind", sorted(BLOCKS))
@pytest.mark.parametrize("size", [1e-45, 1e-40, 1e-38, 1e-30])
def test_blocks_too_small_for_fp16_are_zero_in_every_byte(kind, size):
    """Codes are 0 too: they came from a number divided by 0, cast to an integer."""
    raw = encode(weights(size, torch.float32, "random"), kind)
    assert (decode(raw, kind) == 0).all()
    if size < 1e-38:
        assert set(raw[:, -16:].unique().tolist()) <= {0, 0x88}, "8 is Q4_0's zero"
