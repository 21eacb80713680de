"""The theorems of uniform quantization, at the edges and on random matrices."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant import (
    Grid,
    bits_per_weight,
    dequantize,
    fake_quantize,
    fit_grid,
    fit_range,
    grid_from_range,
    pack,
    quantize,
    search_clip,
)

GROUPS = ["tensor", "channel", 8, 4, 1]
# bits, symmetric: 1 symmetric bit has no levels but 0
KINDS = [(b, False) for b in range(1, 9)] + [(b, True) for b in range(2, 9)]

# torch still is the reference for these, and says once a process that it will drop them
DEPRECATED = pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")


def slack(bits: int) -> float:
    """In steps: w / s, s and s (q - z) each round once, at up to 2^bits steps."""
    return 3 * 2**bits * 2**-24


def steps_moved(w, grid):
    error = (dequantize(quantize(w, grid), grid).double() - w.double()).abs()
    return (grid.runs_of(error) / grid.scale[..., None]).max().item()


@st.composite
def matrices(draw):
    rows = draw(st.integers(1, 4))
    values = st.floats(-(2.0**100), 2.0**100, width=32)
    w = draw(st.lists(values, min_size=8 * rows, max_size=8 * rows))
    return torch.tensor(w, dtype=torch.float32).reshape(rows, 8)


@settings(max_examples=150)
@given(matrices(), st.sampled_from(KINDS), st.sampled_from(GROUPS))
def test_no_weight_moves_more_than_half_a_step(w, kind, group):
    bits, symmetric = kind
    grid = fit_grid(w, bits=bits, group=group, symmetric=symmetric)
    worst = steps_moved(w, grid)
    assert worst <= 0.5 + slack(bits), f"a weight moved {worst} steps; rounding: 0.5"


@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_half_a_step_holds_where_the_rounded_zero_point_cuts_the_range_short(
    bits, symmetric
):
    # -α/s runs over all fractions, ties too: the levels miss α or β by up to s/2
    low = -torch.arange(65.0).reshape(-1, 1) / 64
    grid = grid_from_range(low, low + 1, bits=bits, symmetric=symmetric)
    w = low + torch.linspace(0, 1, 1001)
    assert steps_moved(w, grid) <= 0.5 + slack(bits)


@settings(max_examples=100)
@given(matrices(), st.sampled_from(KINDS), st.sampled_from(GROUPS))
def test_zero_is_a_level_and_minus_zero_comes_back_as_zero(w, kind, group):
    bits, symmetric = kind
    w[:, 0], w[:, 1] = 0.0, -0.0
    kept = fake_quantize(w, bits=bits, group=group, symmetric=symmetric)[:, :2]
    assert (kept == 0).all() and not kept.signbit().any()


@settings(max_examples=100)
@given(matrices(), st.sampled_from(KINDS), st.sampled_from(GROUPS))
def test_levels_are_fixed_points(w, kind, group):
    bits, symmetric = kind
    grid = fit_grid(w, bits=bits, group=group, symmetric=symmetric)
    codes = quantize(w, grid)
    assert torch.equal(quantize(dequantize(codes, grid), grid), codes)


@settings(max_examples=50)
@given(matrices(), st.integers(2, 8), st.sampled_from(GROUPS))
def test_symmetric_quantization_is_odd(w, bits, group):
    w_hat = fake_quantize(w, bits=bits, group=group, symmetric=True)
    negated = fake_quantize(-w, bits=bits, group=group, symmetric=True)
    assert torch.equal(negated, -w_hat)


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_smaller_group_never_has_a_larger_step(symmetric):
    w = torch.randn(6, 24, generator=torch.Generator().manual_seed(0))
    coarse = torch.full_like(w, torch.inf)
    for group in ["tensor", "channel", 12, 4, 2, 1]:
        grid = fit_grid(w, bits=4, group=group, symmetric=symmetric)
        fine = torch.ones_like(grid.runs_of(w)) * grid.scale[..., None]
        assert (fine.flatten(1) <= coarse * (1 + 2**-22)).all(), f"group={group}"
        coarse = fine.flatten(1)


@pytest.mark.parametrize("by", [-128, -8, 3])
def test_shifted_codes_are_the_same_levels(by):
    w = torch.randn(4, 16, generator=torch.Generator().manual_seed(1))
    grid = fit_grid(w, bits=4, group=8)
    moved = grid.shifted(by)
    assert torch.equal(quantize(w, moved).int(), quantize(w, grid).int() + by)
    assert quantize(w, moved).dtype == (torch.int8 if by < 0 else torch.uint8)
    same = dequantize(quantize(w, moved), moved)
    assert torch.equal(same, dequantize(quantize(w, grid), grid))


@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_every_code_between_low_and_high_is_used_and_packs(bits, symmetric):
    w = torch.linspace(-2 if symmetric else -1, 2, 4096)[None]
    grid = fit_grid(w, bits=bits, group="channel", symmetric=symmetric)
    codes = quantize(w, grid)
    assert codes.unique().tolist() == list(range(grid.low, grid.high + 1))
    assert codes.dtype == (torch.int8 if symmetric else torch.uint8)
    assert grid.bits == bits
    pack(codes.int() - grid.low, bits)


def test_a_constant_group_comes_back_and_an_all_zero_group_has_step_one():
    w = torch.tensor([[0.0, 0, 0, 0], [3.7, 3.7, 3.7, 3.7], [-2.5, -2.5, -2.5, -2.5]])
    for bits, symmetric in KINDS:
        grid = fit_grid(w, bits=bits, group="channel", symmetric=symmetric)
        assert grid.scale[0].item() == 1
        # α or β is c itself, so c is the last level, up to the rounding of s and s q
        torch.testing.assert_close(
            dequantize(quantize(w, grid), grid), w, rtol=2**-22, atol=0
        )


@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1e-38, 1e-30, 1e30, 3.4e38])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_tiny_and_huge_weights_keep_the_bound(scale, bits):
    w = torch.tensor([[1.0, 0.3, 0.0, 0.6]]) * torch.tensor(scale)
    for symmetric in (False, True):
        grid = fit_grid(w, bits=bits, group="tensor", symmetric=symmetric)
        assert grid.scale.item() >= torch.finfo(torch.float32).tiny
        assert steps_moved(w, grid) <= 0.5 + slack(bits)


def test_a_range_wider_than_float32_still_has_a_step():
    w = torch.tensor([[-3e38, 3e38, 0, 1e38]])  # max - min overflows; the step does not
    assert steps_moved(w, fit_grid(w, bits=8, group="tensor", symmetric=True)) <= 0.51
    with pytest.raises(ValueError, match=r"overflow float32: scale w down"):
        fit_grid(w, bits=1, group="tensor")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_get_a_float32_grid(dtype):
    w = torch.randn(8, 32, generator=torch.Generator().manual_seed(2)).to(dtype)
    grid, wide = fit_grid(w, bits=4, group=8), fit_grid(w.float(), bits=4, group=8)
    assert torch.equal(grid.scale, wide.scale) and grid.scale.dtype == torch.float32
    w_hat = fake_quantize(w, bits=4, group=8)
    assert w_hat.dtype == dtype
    expected = dequantize(quantize(w.float(), wide), wide).to(dtype)
    assert torch.equal(w_hat, expected)


def test_float64_weights_keep_their_precision():
    w = torch.randn(
        2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3)
    )
    grid = fit_grid(w, bits=8, group="tensor")
    assert grid.scale.dtype == torch.float64
    assert steps_moved(w, grid) <= 0.5 + 3 * 2**8 * 2**-53


@pytest.mark.parametrize("symmetric", [False, True])
def test_clipping_keeps_the_bound_inside_and_saturates_outside(symmetric):
    w = torch.randn(4, 64, generator=torch.Generator().manual_seed(4))
    low, high = fit_range(w, group="channel")
    grid = fit_grid(w, bits=4, group="channel", symmetric=symmetric, clip=0.5)
    whole = fit_grid(w, bits=4, group="channel", symmetric=symmetric)
    torch.testing.assert_close(grid.scale, whole.scale / 2, rtol=2**-22, atol=0)
    inside = (w >= low / 2) & (w <= high / 2)
    assert not inside.all()
    w_hat = dequantize(quantize(w, grid), grid)
    error = (w - w_hat).abs() / grid.scale
    assert error[inside].max() <= 0.5 + slack(4)
    assert torch.equal(
        quantize(w * 1e6, grid).aminmax().min.int(), torch.tensor(grid.low)
    )


@pytest.mark.parametrize("group", ["tensor", "channel", 32])
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_searched_clip_is_never_worse_and_helps_at_three_bits(group, symmetric):
    w = torch.randn(16, 128, generator=torch.Generator().manual_seed(5))
    kind = {"bits": 3, "group": group, "symmetric": symmetric}
    clip = search_clip(w, **kind)
    plain = (fake_quantize(w, **kind) - w).square().sum()
    clipped = (fake_quantize(w, **kind, clip=clip) - w).square().sum()
    assert clipped < plain
    assert clip.shape == fit_grid(w, **kind).scale.shape


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_searched_clip_is_the_best_of_the_shares_in_each_group(symmetric):
    w = torch.randn(8, 64, generator=torch.Generator().manual_seed(10))
    kind = {"bits": 3, "group": 32, "symmetric": symmetric}
    tried = torch.arange(8, 0, -1) / 8
    moved = [fake_quantize(w, **kind, clip=share.item()) - w for share in tried]
    errors = torch.stack([e.unflatten(1, (2, 32)).square().sum(-1) for e in moved])
    best = tried[errors.argmin(0)]
    assert best.unique().numel() > 1, "the groups want different shares"
    assert torch.equal(search_clip(w, **kind, shares=8), best)


def test_among_equal_shares_the_whole_range_is_kept():
    assert search_clip(torch.zeros(2, 8), bits=3, group=4).eq(1).all()


@DEPRECATED
def test_agrees_with_torch_on_the_same_scale_and_zero_point():
    w = torch.randn(32, 64, generator=torch.Generator().manual_seed(6))
    grid = fit_grid(w, bits=8, group="tensor")
    theirs = torch.quantize_per_tensor(
        w, grid.scale.item(), grid.zero.item(), torch.quint8
    )
    # torch multiplies by 1/s where we divide by s: codes may differ on near-ties only
    codes = quantize(w, grid)
    differ = codes != theirs.int_repr()
    ties = ((w / grid.scale).frac().abs() - 0.5).abs() < slack(8)
    assert (ties | ~differ).all()
    same = theirs.dequantize()[~differ]
    assert torch.equal(same, dequantize(codes, grid)[~differ])


@DEPRECATED
def test_agrees_with_torch_per_channel():
    w = torch.randn(32, 64, generator=torch.Generator().manual_seed(7))
    grid = fit_grid(w, bits=8, group="channel")
    theirs = torch.quantize_per_channel(
        w, grid.scale.flatten().double(), grid.zero.flatten(), 0, torch.quint8
    )
    ties = ((w / grid.scale).frac().abs() - 0.5).abs() < slack(8)
    assert (ties | (quantize(w, grid) == theirs.int_repr())).all()


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("group", ["tensor", "channel"])
def test_agrees_with_the_observers_of_torch(symmetric, group):
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*torch.ao.quantization is deprecated"
        )
        from torch.ao.quantization import MinMaxObserver, PerChannelMinMaxObserver

        per = "tensor" if group == "tensor" else "channel"
        scheme = f"per_{per}_{'symmetric' if symmetric else 'affine'}"
        observer = (MinMaxObserver if per == "tensor" else PerChannelMinMaxObserver)(
            dtype=torch.qint8 if symmetric else torch.quint8,
            qscheme=getattr(torch, scheme),
            # torch's symmetric default divides by 127.5; this range makes it ours
            quant_min=-127 if symmetric else 0,
            quant_max=127 if symmetric else 255,
        )
        w = torch.randn(8, 64, generator=torch.Generator().manual_seed(8)) + 0.3
        observer(w)
        scale, zero = observer.calculate_qparams()
    grid = fit_grid(w, bits=8, group=group, symmetric=symmetric)
    torch.testing.assert_close(grid.scale.flatten(), scale, rtol=2**-22, atol=0)
    assert torch.equal(grid.zero.flatten(), zero.int())


@pytest.mark.parametrize("group", ["tensor", "channel", 64, 32])
@pytest.mark.parametrize("symmetric", [False, True])
def test_bits_per_weight_counts_what_is_stored(group, symmetric):
    rows, cols, bits = 48, 192, 3
    w = torch.randn(rows, cols, generator=torch.Generator().manual_seed(9))
    grid = fit_grid(w, bits=bits, group=group, symmetric=symmetric)
    stored = 8 * pack(quantize(w, grid).int() - grid.low, bits).numel()
    stored += 16 * grid.scale.numel() + (0 if symmetric else bits * grid.zero.numel())
    told = bits_per_weight((rows, cols), bits=bits, group=group, symmetric=symmetric)
    assert told == pytest.approx(stored / w.numel(), rel=1e-12)


BAD_MATRICES = [
    (torch.zeros(3), "shape 3: not a matrix"),
    (torch.zeros(2, 3, 4), "shape 2x3x4"),
    (torch.zeros(0, 4), "shape 0x4"),
    (torch.tensor(1.0), "shape scalar"),
    (torch.ones(2, 2, dtype=torch.int64), "w is torch.int64"),
    (torch.tensor([[1.0, torch.nan, torch.inf]]), "holds 2 NaN or infinite"),
]


@pytest.mark.parametrize(("w", "message"), BAD_MATRICES)
def test_refuses_what_has_no_grid(as_a_user, w, message):
    with pytest.raises(ValueError, match=message):
        fake_quantize(w, bits=4, group="tensor")
    with pytest.raises(ValueError, match=message):
        quantize(w, fit_grid(torch.ones(1, 1), bits=4, group="tensor"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 0}, "bits=0 .* not in 1 to 8"),
        ({"bits": 9}, "bits=9"),
        ({"bits": 1, "symmetric": True}, "bits=1 with symmetric=True is not in 2 to 8"),
        ({"group": 5}, "group=5 does not divide the columns of w 2x12"),
        ({"group": 0}, "group=0"),
        ({"group": "row"}, "group='row'"),
        ({"clip": 0.0}, "clip=0.0"),
        ({"clip": 1.5}, "1.5, not in"),
        ({"clip": torch.nan}, "clip=nan"),
    ],
)
def test_refuses_a_grid_that_makes_no_sense(as_a_user, change, message):
    with pytest.raises(ValueError, match=message):
        fit_grid(torch.ones(2, 12), **{"bits": 4, "group": 4, **change})


def test_refuses_codes_and_grids_that_do_not_fit(as_a_user):
    grid = fit_grid(torch.ones(2, 12), bits=4, group=4)
    with pytest.raises(ValueError, match="grid of 2x3 groups cannot span w 3x12"):
        quantize(torch.ones(3, 12), grid)
    with pytest.raises(ValueError, match="codes from 0 to 16 leave the grid's 0 to 15"):
        dequantize(torch.tensor([[0, 16, 0], [0, 0, 0]]), grid)
    with pytest.raises(ValueError, match=r"codes are torch.float32 2x12"):
        dequantize(torch.ones(2, 12), grid)
    one, none = torch.ones(1, 1), torch.zeros(1, 1, dtype=torch.int32)
    with pytest.raises(ValueError, match="codes 0 to 256 are not 2 to 256 levels"):
        Grid(one, none, 0, 256)
    with pytest.raises(ValueError, match=r"scale is not positive: 0.0"):
        Grid(0 * one, none, 0, 15)
    with pytest.raises(ValueError, match="zero from 16 to 16 is no code from 0 to 15"):
        Grid(one, none + 16, 0, 15)
    with pytest.raises(ValueError, match="must both be"):
        Grid(one, none[0], 0, 15)
    with pytest.raises(ValueError, match=r"must include 0: low up to 1.0"):
        grid_from_range(one, 2 * one, bits=4)
    with pytest.raises(ValueError, match=r"group=96 does not divide .* 8x1000"):
        bits_per_weight((8, 1000), bits=4, group=96)
