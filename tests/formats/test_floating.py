"""`lib.formats.floating` against torch, ml_dtypes and exact rational arithmetic."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.formats.codes import all_values, decode, encode
from lib.formats.floating import (
    BF16,
    FP4_E2M1,
    FP6_E2M3,
    FP6_E3M2,
    FP8_E4M3,
    FP8_E5M2,
    FP16,
    FP32,
    FP64,
    TF32,
    FloatFormat,
    neighbours,
    round_to,
)


def name(parameter):
    return getattr(parameter, "name", "")


TORCH = [
    (FP16, torch.float16),
    (BF16, torch.bfloat16),
    (FP8_E4M3, torch.float8_e4m3fn),
    (FP8_E5M2, torch.float8_e5m2),
]
ML_DTYPES = [
    (BF16, ml_dtypes.bfloat16),
    (FP8_E4M3, ml_dtypes.float8_e4m3fn),
    (FP8_E5M2, ml_dtypes.float8_e5m2),
    (FP6_E2M3, ml_dtypes.float6_e2m3fn),
    (FP6_E3M2, ml_dtypes.float6_e3m2fn),
    (FP4_E2M1, ml_dtypes.float4_e2m1fn),
    (FloatFormat("E4M3 with infinity", 4, 3), ml_dtypes.float8_e4m3),
    (FloatFormat("E3M4", 3, 4), ml_dtypes.float8_e3m4),
]
SMALL = [fmt for fmt, _ in ML_DTYPES[1:]] + [FP16, BF16]


def identical(a, b):
    """Elementwise: the same number, zeros told apart by sign, or both NaN."""
    return (a == b) & (a.signbit() == b.signbit()) | (a.isnan() & b.isnan())


def hard_numbers(fmt):
    """Every value of `fmt`, every tie between two, and the floats beside each."""
    values = all_values(fmt)
    values = values[values.isfinite()].unique()
    beyond = 2 * values[-1] - values[-2]  # where the next value would be
    values = torch.cat([-beyond[None], values, beyond[None]])
    points = torch.cat([values, (values[1:] + values[:-1]) / 2]).float()
    away = torch.full_like(points, math.inf)
    beside = [points.nextafter(away), points.nextafter(-away)]
    extra = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, 3e38, 1e-45])
    return torch.cat([points, *beside, extra])


@pytest.fixture(scope="module")
def random_bits():
    """10 million float32 of random bits: subnormals, infinities and NaN among them."""
    generator = torch.Generator().manual_seed(2)
    bits = torch.randint(-(2**31), 2**31, (10_000_000,), generator=generator)
    return bits.to(torch.int32).view(torch.float32)


def torch_overflow(dtype):
    """torch has let E4M3 overflow to NaN in some releases, to 448 in others."""
    return (
        "saturate"
        if torch.tensor(math.inf).to(dtype).float().isfinite()
        else "infinity"
    )


@pytest.mark.parametrize(("fmt", "dtype"), TORCH, ids=name)
def test_torch_decodes_every_code_to_the_same_number(fmt, dtype):
    codes = torch.arange(2**fmt.bits)
    integer = torch.uint8 if fmt.bits == 8 else torch.int16
    theirs = codes.to(integer).view(dtype).double()
    assert identical(decode(codes, fmt), theirs).all()


@pytest.mark.parametrize(("fmt", "dtype"), TORCH, ids=name)
def test_torch_rounds_ten_million_random_floats_alike(fmt, dtype, random_bits):
    ours = round_to(random_bits, fmt, overflow=torch_overflow(dtype))
    alike = identical(ours, random_bits.to(dtype).float())
    assert alike.all(), f"first at {random_bits[~alike][0].item()!r}"


@pytest.mark.parametrize(("fmt", "dtype"), TORCH, ids=name)
def test_torch_rounds_every_value_and_tie_alike(fmt, dtype):
    x = hard_numbers(fmt)
    assert identical(
        round_to(x, fmt, overflow=torch_overflow(dtype)), x.to(dtype).float()
    ).all()


@pytest.mark.parametrize(("fmt", "dtype"), ML_DTYPES, ids=name)
def test_ml_dtypes_decodes_every_code_to_the_same_number(fmt, dtype):
    integer = np.uint16 if fmt.bits == 16 else np.uint8
    codes = np.arange(2**fmt.bits).astype(integer)
    with np.errstate(all="ignore"):  # it warns of signalling NaNs
        theirs = torch.from_numpy(codes.view(dtype).astype(np.float64))
    assert identical(all_values(fmt), theirs).all()


@pytest.mark.parametrize(("fmt", "dtype"), ML_DTYPES, ids=name)
def test_ml_dtypes_rounds_alike(fmt, dtype, random_bits):
    x = torch.cat([random_bits, hard_numbers(fmt)])
    if fmt.specials == "none":  # ml_dtypes turns NaN into -0 there; ours stays NaN
        x = x[~x.isnan()]
    with np.errstate(all="ignore"):
        theirs = torch.from_numpy(x.numpy().astype(dtype).astype(np.float32))
    alike = identical(round_to(x, fmt), theirs)
    assert alike.all(), f"first at {x[~alike][0].item()!r}"


@pytest.mark.parametrize(("fmt", "dtype"), ML_DTYPES, ids=name)
def test_encode_yields_the_code_that_ml_dtypes_stores(fmt, dtype):
    x = hard_numbers(fmt)
    x = x[~x.isnan()]
    integer = np.uint16 if fmt.bits == 16 else np.uint8
    with np.errstate(all="ignore"):
        theirs = x.numpy().astype(dtype).view(integer).astype(np.int64)
    ours = encode(x, fmt)
    made = round_to(x, fmt).isnan()  # which NaN an overflow makes is each library's own
    assert torch.equal(ours[~made], torch.from_numpy(theirs)[~made])
    assert decode(ours, fmt)[made].isnan().all()


@pytest.mark.parametrize("fmt", SMALL, ids=name)
def test_encode_undoes_decode_on_every_code(fmt):
    values = all_values(fmt)
    number = ~values.isnan()
    codes = torch.arange(2**fmt.bits)
    assert torch.equal(encode(values[number], fmt), codes[number])


def test_double_to_single_is_torchs_own_cast():
    generator = torch.Generator().manual_seed(3)
    bits = torch.randint(-(2**63), 2**63 - 1, (1_000_000,), generator=generator)
    near = torch.randint(-160, 130, (1_000_000,), generator=generator)
    noise = torch.randn(1_000_000, generator=generator, dtype=torch.float64)
    x = torch.cat([bits.view(torch.float64), torch.ldexp(noise, near)])
    assert identical(round_to(x, FP32), x.float().double()).all()


@pytest.mark.parametrize(
    ("fmt", "dtype", "integer"),
    [(FP32, torch.float32, torch.int32), (FP64, torch.float64, torch.int64)],
    ids=["FP32", "FP64"],
)
def test_a_dtype_rounds_to_itself_unchanged_and_encodes_as_its_bits(
    fmt, dtype, integer
):
    generator = torch.Generator().manual_seed(4)
    info = torch.iinfo(integer)
    bits = torch.randint(info.min, info.max, (1_000_000,), generator=generator)
    x = bits.to(integer).view(dtype)
    assert identical(round_to(x, fmt), x).all()
    number = ~x.isnan()
    codes = encode(x, fmt)[number]
    assert torch.equal(codes.to(integer), bits.to(integer)[number])
    assert identical(decode(codes, fmt), x[number].double()).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("fmt", [FP8_E4M3, FP8_E5M2, FP4_E2M1, BF16, FP16, TF32])
def test_half_precision_inputs_round_as_their_float32_selves(dtype, fmt):
    x = torch.arange(-(2**15), 2**15).to(torch.int16).view(dtype)
    theirs = round_to(x.float(), fmt).to(dtype)
    ours = round_to(x, fmt)
    assert ours.dtype == dtype and identical(ours, theirs).all()


def exactly_rounded(x, fmt):
    """The definition for finite x in rational arithmetic; `round` ties to even."""
    if x == 0:
        return x
    exact = abs(Fraction(x))
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > exact
    gap = Fraction(2) ** (max(exponent, fmt.min_exponent) - fmt.fraction_bits)
    size = round(exact / gap) * gap
    value = fmt.beyond("infinity") if size > Fraction(fmt.max) else float(size)
    return math.copysign(value, x)


@st.composite
def formats(draw):
    specials = draw(st.sampled_from(["ieee", "nan", "none"]))
    e = draw(st.integers(2 if specials == "ieee" else 1, 8))
    m = draw(st.integers(1 if specials == "ieee" else 0, 23))
    bias = draw(st.integers(-3, 3)) + 2 ** (e - 1) - 1
    return FloatFormat(f"E{e}M{m}", e, m, bias, specials)


doubles = st.floats(allow_nan=False, allow_infinity=False)
near_one = st.floats(-600, 600)
several = st.lists(doubles | near_one, min_size=1, max_size=20)


@given(formats(), several)
@settings(max_examples=300)
def test_any_format_rounds_as_rational_arithmetic_does(fmt, numbers):
    for dtype in (torch.float64, torch.float32):
        x = torch.tensor(numbers, dtype=torch.float64).to(dtype)
        x = x[x.isfinite()]
        expected = [exactly_rounded(v, fmt) for v in x.double().tolist()]
        expected = torch.tensor(expected, dtype=torch.float64).to(dtype)
        assert identical(round_to(x, fmt), expected).all()


@given(formats(), several, st.sampled_from(["infinity", "saturate"]))
@settings(max_examples=200)
def test_rounding_is_idempotent_odd_and_what_encode_and_decode_agree_on(
    fmt, numbers, overflow
):
    x = torch.tensor(numbers, dtype=torch.float64)
    y = round_to(x, fmt, overflow=overflow)
    assert identical(round_to(y, fmt, overflow=overflow), y).all()
    assert identical(round_to(-x, fmt, overflow=overflow), -y).all()
    assert identical(decode(encode(x, fmt, overflow=overflow), fmt), y).all()


@given(formats(), several)
@settings(max_examples=200)
def test_rounding_is_monotone_and_within_half_a_gap(fmt, numbers):
    x = torch.tensor(numbers, dtype=torch.float64).sort().values
    y = round_to(x, fmt, overflow="saturate")
    assert (y.diff() >= 0).all()
    for value, rounded in zip(x.tolist(), y.tolist(), strict=True):
        below, above = neighbours(value, fmt)
        assert below <= value <= above
        if abs(value) <= fmt.max:
            error = abs(Fraction(rounded) - Fraction(value))
            assert 2 * error <= Fraction(above) - Fraction(below)


@pytest.mark.parametrize("fmt", SMALL, ids=name)
def test_ties_go_to_the_even_code(fmt):
    values = all_values(fmt)
    values = values[: fmt.max_code + 1]  # from zero up
    codes = encode((values[1:] + values[:-1]) / 2, fmt)
    below = torch.arange(fmt.max_code)
    assert torch.equal(codes, below + below % 2)


def test_without_fraction_bits_a_tie_goes_to_the_even_multiple_of_the_gap():
    powers = FloatFormat("E3M0", 3, 0, specials="none")  # 0, 1/4, 1/2, 1, …, 16
    x = torch.tensor([0.125, 0.375, 0.75, 1.5, 12.0])
    assert round_to(x, powers).tolist() == [0.0, 0.5, 1.0, 2.0, 16.0]


# Stochastic rounding: seeds are fixed; a bound of 5σ fails a right routine once in
# 1.7 million draws of the seed, per number.
@pytest.mark.parametrize(
    ("fmt", "x"),
    [
        (FP8_E4M3, 1.03),
        (FP8_E4M3, -0.0007),
        (FP8_E4M3, 0.0001),
        (FP16, 1e-8),
        (BF16, 3.14159),
        (FP4_E2M1, 4.5),
        (FP4_E2M1, -0.1),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stochastic_rounding_is_unbiased_within_five_sigma(fmt, x, dtype):
    n = 400_000
    generator = torch.Generator().manual_seed(5)
    x = torch.full((n,), x, dtype=dtype)
    y = round_to(x, fmt, rounding="stochastic", generator=generator).double()
    below, above = neighbours(x[0].item(), fmt)
    assert set(y.unique().tolist()) <= {below, above}
    p = (x[0].double().item() - below) / (above - below)
    sigma = (above - below) * math.sqrt(p * (1 - p) / n)
    away = abs(y.mean().item() - x[0].item()) / sigma
    assert away < 5, f"the mean of {n} is {away:.1f}σ from x"


@given(formats(), several, st.integers(0, 2**32))
@settings(max_examples=150)
def test_stochastic_rounding_picks_a_neighbour_and_keeps_what_fits(fmt, numbers, seed):
    x = torch.tensor(numbers, dtype=torch.float64)
    draw = {"rounding": "stochastic", "overflow": "saturate"}
    y = round_to(x, fmt, **draw, generator=torch.Generator().manual_seed(seed))
    again = round_to(x, fmt, **draw, generator=torch.Generator().manual_seed(seed))
    assert identical(y, again).all()
    assert (y.signbit() == x.signbit()).all()
    for value, rounded in zip(x.tolist(), y.tolist(), strict=True):
        assert rounded in [
            min(max(v, -fmt.max), fmt.max) for v in neighbours(value, fmt)
        ]
    exact = round_to(x, fmt, overflow="saturate")
    assert identical(round_to(exact, fmt, **draw), exact).all()


def test_stochastic_rounding_past_the_maximum_follows_the_overflow_rule():
    x = torch.full((10_000,), 60_000.0)  # E5M2: 57344, then what would be 65536
    generator = torch.Generator().manual_seed(6)
    y = round_to(x, FP8_E5M2, rounding="stochastic", generator=generator)
    assert y.unique().tolist() == [57_344.0, math.inf]
    y = round_to(x, FP8_E5M2, rounding="stochastic", overflow="saturate")
    assert y.unique().tolist() == [57_344.0]
    special = torch.tensor([math.inf, -math.inf, math.nan, -0.0])
    kept = round_to(special, FP8_E5M2, rounding="stochastic")
    assert identical(kept, special).all()


def test_properties_agree_with_torch_and_ml_dtypes():
    pairs = [*TORCH, (FP32, torch.float32), (FP64, torch.float64)]
    for fmt, dtype in pairs:
        info = torch.finfo(dtype)
        assert (fmt.bits, fmt.max, fmt.epsilon) == (info.bits, info.max, info.eps)
        assert fmt.smallest_normal == info.smallest_normal
    for fmt, dtype in ML_DTYPES:
        info = ml_dtypes.finfo(dtype)
        assert (fmt.bits, fmt.max) == (info.bits, float(info.max))
        assert fmt.epsilon == float(info.eps)
        assert fmt.smallest_normal == float(info.smallest_normal)
        assert fmt.smallest_subnormal == float(info.smallest_subnormal)
    assert TF32.bits == 19
