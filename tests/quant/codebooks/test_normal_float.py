"""NF4, FP4 and double quantization: their theorems, and bitsandbytes' bits."""

import itertools
import math

import pytest
import torch

from lib.models.walk import linear_layers
from lib.quant.codebooks.double import (
    dequantize_scales,
    dynamic_levels,
    quantize_scales,
)
from lib.quant.codebooks.normal_float import (
    NF4_OFFSET,
    dequantize_4bit,
    fake_quantize_4bit,
    float4_levels,
    normal_float_levels,
    quantize_4bit,
    round_to_levels,
)

# What lecture 05's deck prints, two digits each.
DECK = "-1. -.7 -.53 -.39 -.28 -.18 -.09 0. .08 .16 .25 .34 .44 .56 .72 1."
SHAPES = [(64,), (256, 576), (7, 64), (3, 100), (5, 33), (65,), (1,), (2, 3, 32), (63,)]


@pytest.fixture(scope="module")
def reference():
    pytest.importorskip("bitsandbytes", reason="the bench extra has the reference")
    from bitsandbytes import functional

    with torch.compiler.set_stance("force_eager"):  # it compiles what odd sizes need
        yield functional


def normal(shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def test_the_levels_are_the_sixteen_that_the_deck_prints():
    levels = normal_float_levels()
    deck = torch.tensor([float(x) for x in DECK.split()])
    assert (levels - deck).abs().max() <= 0.005 + 1e-7  # the deck rounds to two digits
    assert levels[7] == 0 and (levels < 0).sum() == 7 and (levels > 0).sum() == 8


def test_positive_levels_cut_the_normal_into_equal_shares():
    levels = normal_float_levels().double()[8:]
    z = levels * torch.special.ndtri(torch.tensor(NF4_OFFSET, dtype=torch.float64))
    shares = torch.special.ndtr(z).diff()
    assert torch.allclose(shares, shares.mean().expand(7), atol=1e-6)


@pytest.mark.parametrize(
    "levels",
    [
        normal_float_levels,
        lambda: normal_float_levels(3),
        float4_levels,
        dynamic_levels,
    ],
)
def test_levels_are_handed_out_as_copies(levels):
    w, mine = normal((4, 64)), levels()
    kept = mine.clone()
    before = [quantize_4bit(w, kind=kind, double=True) for kind in ("nf4", "fp4")]
    mine.fill_(7)
    assert torch.equal(levels(), kept), "what was written into one copy is in the next"
    for old in before:
        new = quantize_4bit(w, kind=old.kind, double=True)
        assert torch.equal(new.packed, old.packed)
        assert torch.equal(new.dequantize(), old.dequantize())


@pytest.mark.parametrize("bits", range(2, 9))
def test_every_width_has_zero_and_both_ends(bits):
    levels = normal_float_levels(bits)
    assert len(levels) == 2**bits and (levels.diff() > 0).all()
    assert levels[2 ** (bits - 1) - 1] == 0 and levels[0] == -1 and levels[-1] == 1


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_no_weight_moves_more_than_half_a_gap(kind):
    w = normal((40, 128))
    levels = (normal_float_levels() if kind == "nf4" else float4_levels()).sort().values
    error = (fake_quantize_4bit(w, kind=kind) - w).view(-1, 64).abs().amax(1)
    worst = (error / w.view(-1, 64).abs().amax(1)).max()
    bound = levels.diff().max() / 2
    assert worst <= bound + 1e-6, (
        f"moved {worst:.4f} of its constant; limit {bound:.4f}"
    )


def test_zero_and_each_blocks_largest_weight_are_exact():
    w = normal((10, 64))
    w[:, 3] = 0
    w[0] = 0
    error = fake_quantize_4bit(w) - w
    assert (error[:, 3] == 0).all() and (error[0] == 0).all()
    largest = w.abs().argmax(1, keepdim=True)
    assert (error.gather(1, largest) == 0).all()


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_levels_are_fixed_points(kind):
    once = fake_quantize_4bit(normal((33, 65)), kind=kind)
    assert torch.equal(fake_quantize_4bit(once, kind=kind), once)


def test_mean_errors_on_normal_weights_are_the_known_ones():
    # 0.072798 ± 0.000074 and 0.096543: measured with bitsandbytes, blocks of 64. Four
    # million weights narrow the standard error of this mean to about 0.00003.
    w = normal((2**12, 2**10), seed=1)
    nf4 = (fake_quantize_4bit(w) - w).abs().mean().item()
    fp4 = (fake_quantize_4bit(w, kind="fp4") - w).abs().mean().item()
    assert abs(nf4 - 0.072798) < 3 * 0.000074, nf4
    assert abs(fp4 - 0.096543) < 3 * 0.000074, fp4


def test_double_quantization_saves_0_373_bits_by_arithmetic():
    w = normal((64, 64 * 256))  # 64 · 256 blocks of constants fill whole nested blocks
    once, twice = quantize_4bit(w), quantize_4bit(w, double=True)
    mean = 32 / w.numel()  # one float32 a tensor
    assert once.bits_per_weight == 4 + 32 / 64
    assert math.isclose(
        twice.bits_per_weight, 4 + 8 / 64 + 32 / (64 * 256) + mean, rel_tol=1e-12
    )
    assert round(8 / 64 + 32 / (64 * 256), 3) == 0.127


def test_double_constants_move_at_most_half_a_gap_and_a_table_step():
    c = normal((1000,), seed=2).abs() + 1
    double = quantize_scales(c)
    nested = double.scales.repeat_interleave(256)[:1000]
    moved = ((dequantize_scales(double) - c).abs() / nested).max()
    bound = dynamic_levels().diff().max() / 2 + 1 / 65535
    assert moved <= bound + 1e-6, f"{moved} against {bound}"


@pytest.mark.parametrize("count", [1, 2, 256, 300])
def test_equal_constants_survive_double_quantization(count):
    c = torch.full((count,), 0.75)
    assert torch.equal(dequantize_scales(quantize_scales(c)), c)


@pytest.mark.parametrize(
    ("w", "options", "message"),
    [
        (torch.ones(4), {"block": 0}, "block=0"),
        (torch.ones(4), {"block": 33}, "block=33"),
        (torch.ones(4), {"kind": "nf5"}, "'nf5'"),
        (torch.ones(4, dtype=torch.int8), {}, "int8"),
        (torch.ones(0, 4), {}, r"\(0, 4\)"),
        (torch.tensor([1.0, torch.nan, torch.inf]), {}, "2 NaN or infinite"),
    ],
)
def test_bad_input_is_named(w, options, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        quantize_4bit(w, **options)


@pytest.mark.parametrize("shape", SHAPES)
def test_rounding_to_the_nf4_levels_is_nf4(shape):
    w = normal(shape)
    assert torch.equal(round_to_levels(w, normal_float_levels()), fake_quantize_4bit(w))


def test_each_further_bit_of_normal_float_pays():
    w = normal((256, 256))
    errors = [
        (round_to_levels(w, normal_float_levels(bits)) - w).square().mean().sqrt()
        for bits in range(2, 9)
    ]
    ratios = [a / b for a, b in itertools.pairwise(errors)]
    assert min(ratios) > 1.5, ratios


def test_bad_levels_and_constants_are_named(as_a_user):
    with pytest.raises(ValueError, match="bits=1"):
        normal_float_levels(1)
    with pytest.raises(ValueError, match=r"offset=0\.4"):
        normal_float_levels(offset=0.4)
    with pytest.raises(ValueError, match="do not ascend"):
        round_to_levels(torch.ones(4), torch.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        quantize_scales(torch.ones(0))
    with pytest.raises(ValueError, match="1 scales"):
        quantize_scales(torch.tensor([torch.nan, 1.0]))
    with pytest.raises(ValueError, match="block=0"):
        quantize_scales(torch.ones(3), block=0)


def test_maps_equal_bitsandbytes(reference):
    assert torch.equal(normal_float_levels(), reference.get_4bit_type("nf4", "cpu"))
    assert torch.equal(float4_levels(), reference.get_4bit_type("fp4", "cpu"))
    assert torch.equal(dynamic_levels(), reference.create_dynamic_map())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_every_bit_equals_bitsandbytes(kind, shape, dtype, reference):
    cases = itertools.product([1.0, 1e-3, 300.0], [32, 64, 128], [False, True])
    for seed, (scale, block, double) in enumerate(cases):
        assert_same(normal(shape, seed, dtype) * scale, kind, block, double, reference)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_ties_zeros_and_subnormals_equal_bitsandbytes(kind, reference):
    levels = (normal_float_levels() if kind == "nf4" else float4_levels()).sort().values
    middles = (levels[:-1] + levels[1:]) / 2
    near = torch.cat([middles, middles.nextafter(torch.ones(15)), levels])  # 46
    for w in (
        torch.cat([near, -near[:17], torch.ones(1)]),  # a whole block, with its ties
        near,  # the same in a part-block
        torch.zeros(130),
        -torch.zeros(64),
        torch.full((128,), 1e-39),
        torch.full((70,), 1e-41),
        torch.arange(-3e-4, 3e-4, 1e-6) + torch.eye(1, 600)[0],
    ):
        for double in (False, True):
            assert_same(w, kind, 64, double, reference)


def test_a_million_weights_with_nested_statistics_equal_bitsandbytes(reference):
    w = normal((1024, 1024), seed=5) * torch.logspace(-3, 2, 1024)[:, None]
    for kind in ("nf4", "fp4"):
        assert_same(w, kind, 64, True, reference)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_a_real_block_of_smollm2_equals_bitsandbytes(kind, smollm2, reference):
    layers = linear_layers(smollm2[0]).items()
    block = [layer.weight for name, layer in layers if name.split(".")[2] == "12"]
    assert len(block) == 7
    for w, double in itertools.product(block, (False, True)):
        assert_same(w, kind, 64, double, reference)


def assert_same(w, kind, block, double, reference):
    packed, state = reference.quantize_4bit(
        w, blocksize=block, quant_type=kind, compress_statistics=double
    )
    mine = quantize_4bit(w, kind=kind, block=block, double=double)
    assert torch.equal(mine.packed, packed.flatten()), "codes differ"
    if double:
        assert torch.equal(mine.scales.codes, state.absmax), "nested codes differ"
        assert torch.equal(mine.scales.scales, state.state2.absmax)
        assert torch.equal(mine.scales.mean, state.offset)
    else:
        assert torch.equal(mine.scales, state.absmax), "scales differ"
    # Read as one row: where rows are multiples of 16 but not of the block, the AVX-512
    # code of 0.50.2 counts blocks per row and so takes other blocks' constants.
    state.shape = (w.numel(),)
    theirs = reference.dequantize_4bit(packed, state).view(w.shape)
    assert torch.equal(dequantize_4bit(mine), theirs), "reconstructions differ"
