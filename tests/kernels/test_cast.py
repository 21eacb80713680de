"""Casts: bit for bit lib.formats; randomness that is fair and the same everywhere."""

import pytest
import torch

from lib import formats
from lib.formats import BlockFormat, FloatFormat, all_values, decode, floating, round_to
from lib.formats.microscaling import round_to_blocks
from lib.kernels import cast_codes, fake_blocks, fake_cast
from lib.kernels.cast import codes
from lib.kernels.cast.philox import uniforms, words
from lib.kernels.cast.rounding import (
    blocks_reference,
    cast_reference,
    fits_float32,
    launch_blocks,
    launch_cast,
)

DTYPES = (torch.float16, torch.bfloat16, torch.float32)
INTEGER = {1: torch.uint8, 2: torch.int16, 4: torch.int32}
SMALL = [
    formats.FP8_E4M3,
    formats.FP8_E5M2,
    formats.FP6_E2M3,
    formats.FP6_E3M2,
    formats.FP4_E2M1,
    formats.FP16,
]
ODD = [
    FloatFormat("E1M0", 1, 0, specials="none"),
    FloatFormat("E1M6", 1, 6, bias=1, specials="none"),
    FloatFormat("E5M0", 5, 0, specials="nan"),
    FloatFormat("E4M3 at 2^90", 4, 3, bias=-80, specials="none"),
    FloatFormat("E4M3 at 2^-125", 4, 3, bias=126, specials="nan"),
]
WIDE = [
    formats.BF16,
    formats.TF32,
    formats.FP32,
    formats.FP64,
    FloatFormat("E10M3", 10, 3),
    FloatFormat("E3M40", 3, 40, specials="none"),
    FloatFormat("E3M2 at 2^1000", 3, 2, bias=-1000, specials="none"),
    FloatFormat("E4M2 at 2^-140", 4, 2, bias=140),
]
MX = [
    formats.MXFP8_E4M3,
    formats.MXFP8_E5M2,
    formats.MXFP6_E2M3,
    formats.MXFP6_E3M2,
    formats.MXFP4,
    formats.MXINT8,
]
pytestmark = [
    pytest.mark.usefixtures("poisoned"),
    # The interpreter's NumPy says aloud what a GPU does without a word.
    pytest.mark.filterwarnings("ignore:(invalid|overflow):RuntimeWarning"),
]


def name(parameter):
    return getattr(parameter, "name", str(parameter))


def check(got, want):
    """The same bits, or NaN in both."""
    assert got.dtype == want.dtype and got.shape == want.shape
    integer = INTEGER[want.element_size()]
    got, want = got.cpu(), want.cpu()
    same = (got.view(integer) == want.view(integer)) | (got.isnan() & want.isnan())
    if not same.all():
        at = int((~same).flatten().nonzero()[0])
        pytest.fail(
            f"{int((~same).sum())} of {same.numel()} differ; the first, at {at}: "
            f"{got.flatten()[at].item()!r}, not {want.flatten()[at].item()!r}"
        )


def every(dtype):
    """All numbers of 16 bits."""
    return torch.arange(-(2**15), 2**15).to(torch.int16).view(dtype)


def beside(values):
    """The float32 of these values, and those next to them."""
    near = values.float()
    up, down = (near.nextafter(near.new_tensor(to)) for to in (torch.inf, -torch.inf))
    return torch.stack([near, up, down])


def hard(fmt, generator):
    """Float32 at and beside the numbers and midpoints of a format, and any bits."""
    values = all_values(fmt) if fmt.bits <= 8 else torch.tensor([fmt.max, 1.0])
    values = values[values.isfinite() & (values >= 0)].double().sort()[0]
    middles = (values[1:] + values[:-1]) / 2
    beyond = values[-1] * torch.tensor([1.0, 1.03125, 1.0625, 1.5, 2, 4]).double()
    near = beside(torch.cat([values, middles, beyond])).flatten()
    near = torch.cat([near, torch.tensor([torch.inf, torch.nan])])
    bits = torch.randint(-(2**31), 2**31, (2000,), generator=generator)
    return torch.cat([near, -near, bits.to(torch.int32).view(torch.float32)])


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.parametrize("fmt", SMALL, ids=name)
def test_every_number_of_16_bits(fmt, dtype, device):
    x = every(dtype)
    got = launch_cast(x.to(device), fmt, "infinity", None)
    check(got, round_to(x, fmt))


@pytest.mark.parametrize("overflow", ["infinity", "saturate"])
@pytest.mark.parametrize("fmt", SMALL + ODD + WIDE, ids=name)
def test_float32_at_and_beside_every_tie(fmt, overflow, device, generator):
    x = hard(fmt, generator)
    got = launch_cast(x.to(device), fmt, overflow, None)
    check(got, round_to(x, fmt, overflow=overflow))


def test_which_float_works():
    assert all(map(fits_float32, SMALL + ODD[:-1]))
    assert not any(map(fits_float32, WIDE + ODD[-1:]))


@pytest.mark.parametrize("count", [1, 2, 4095, 4096, 4097])
def test_sizes(count, device, generator):
    x = torch.randn(count, generator=generator).half()
    for seed in (None, 3):
        uniform = None if seed is None else uniforms(seed, count)
        got = launch_cast(x.to(device), formats.FP4_E2M1, "saturate", seed)
        check(got, cast_reference(x, formats.FP4_E2M1, "saturate", uniform))


def test_shapes_and_strides(device, generator):
    x = torch.randn(3, 5, 7, generator=generator)
    for view in (x.mT, x[:, ::2], x[0, 0, 0], x.bfloat16()):
        got = launch_cast(view.to(device), formats.FP8_E4M3, "infinity", None)
        check(got, round_to(view, formats.FP8_E4M3))


@pytest.mark.parametrize("overflow", ["infinity", "saturate"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "fmt",
    [formats.FP8_E4M3, formats.FP8_E5M2, formats.FP4_E2M1, formats.BF16],
    ids=name,
)
def test_with_the_same_numbers_as_round_to(
    fmt, dtype, overflow, device, generator, monkeypatch
):
    x = hard(fmt, generator).to(dtype)
    uniform = uniforms(7, x.numel())
    with monkeypatch.context() as patch:
        patch.setattr(floating.torch, "rand", lambda *_, dtype, **__: uniform.to(dtype))
        want = round_to(x, fmt, rounding="stochastic", overflow=overflow)
    check(cast_reference(x, fmt, overflow, uniform), want)
    check(launch_cast(x.to(device), fmt, overflow, 7), want)


@pytest.mark.parametrize(
    ("fmt", "kept"),
    [(formats.FP4_E2M1, 1), (formats.FP8_E4M3, 3), (formats.BF16, 7)],
    ids=["FP4", "FP8", "BF16"],
)
def test_every_bit_of_a_random_number_counts(fmt, kept, device, generator):
    """A covered part that equals the random number goes down, a bit more goes up."""
    count, below = 4096, 23 - kept  # bits that a number between 1 and 2 loses
    uniform = (uniforms(11, count) * 2**below).to(torch.int32)
    up = torch.rand(count, generator=generator) < 0.5
    up &= uniform < 2**below - 1
    place = torch.randint(0, 2**kept, (count,), generator=generator)  # of its gap
    x = (
        (0x3F800000 | place << below | (uniform + up))
        .to(torch.int32)
        .view(torch.float32)
    )
    want = 1 + (place + up) / 2**kept
    check(launch_cast(x.to(device), fmt, "infinity", 11), want)
    check(cast_reference(x, fmt, "infinity", uniforms(11, count)), want)


def test_a_random_zero_moves_no_number(device):
    """Seed 1066 is the first whose first 1024 numbers have a zero: the 36th."""
    assert uniforms(1066, 36)[35] == 0
    x = torch.tensor([0.5, -3.0, 0.0, 1.0]).repeat(9)
    check(launch_cast(x.to(device), formats.FP4_E2M1, "saturate", 1066), x)


@pytest.mark.parametrize(
    ("rounds", "known"),
    [
        (7, [0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48]),
        (10, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ],
)
def test_philox_s_known_answers(rounds, known):
    """Random123's kat_vectors for philox4x32 of counter and key 0."""
    zero = torch.zeros(1, dtype=torch.int64)
    assert words(0, zero, rounds).flatten().tolist() == known


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**63 - 1])
def test_a_seed_is_its_numbers(seed, device):
    x = torch.full((5000,), 0.1)
    first, again = (
        launch_cast(x.to(device), formats.FP4_E2M1, "infinity", seed) for _ in "12"
    )
    check(first, again)
    check(first, cast_reference(x, formats.FP4_E2M1, "infinity", uniforms(seed, 5000)))
    assert not torch.equal(
        first, launch_cast(x.to(device), formats.FP4_E2M1, "infinity", 17)
    )


def test_the_mean_is_the_number(device):
    """Each of 8 means within 5 standard errors: fair rounding fails once in 200,000."""
    x = torch.tensor([0.03, 0.1, 0.25, 0.6, 1.1, 2.9, 5.0, -4.3])
    draws = 2048
    y = launch_cast(
        x.repeat_interleave(draws).to(device), formats.FP4_E2M1, "infinity", 11
    )
    y = y.cpu().view(8, draws).abs().double()
    low = torch.tensor([0, 0, 0, 0.5, 1, 2, 4, 4])
    gap = torch.tensor([0.5, 0.5, 0.5, 0.5, 0.5, 1, 2, 2])
    covered = (x.abs() - low) / gap
    error = gap * (covered * (1 - covered) / draws).sqrt()
    assert ((y == low[:, None]) | (y == (low + gap)[:, None])).all(), "no neighbour"
    off = (y.mean(1) - x.abs()) / error
    assert (off.abs() <= 5).all(), f"{off.tolist()} standard errors off"


def spread(rows, cols, generator):
    """Normal numbers from rows of 2^-149 to rows of 2^127, zeros of both signs."""
    x = torch.randn(rows, cols, generator=generator).clamp(-3.9, 3.9)
    x = x.double() * 2.0 ** torch.linspace(-148, 126, rows)[:, None]
    x[0], x[1, :40], x[2, 5:] = 0.0, -0.0, 0.0
    return x.float()


@pytest.mark.parametrize("fmt", MX, ids=name)
def test_microscaling(fmt, device, generator):
    x = spread(139, 96, generator)
    check(launch_blocks(x.to(device), fmt), round_to_blocks(x, fmt))
    for dtype in DTYPES[:2]:
        x = every(dtype)[torch.randperm(2**16, generator=generator)]
        x = x.where(x.isfinite(), 0).view(64, 1024)
        check(launch_blocks(x.to(device), fmt), round_to_blocks(x, fmt))


@pytest.mark.parametrize("block", [1, 5, 16, 48])
def test_other_blocks(block, device, generator):
    x = torch.randn(7, 24 * block, generator=generator)
    x = (x * 2.0 ** torch.linspace(-20, 12, 7)[:, None]).half()
    for fmt in (
        BlockFormat("MX", formats.FP6_E3M2, block),
        BlockFormat("NV", formats.FP4_E2M1, block, formats.FP8_E4M3),
        BlockFormat("NV", formats.FP6_E2M3, block, formats.FP8_E5M2),
    ):
        check(launch_blocks(x.to(device), fmt), blocks_reference(x, fmt))


@pytest.mark.parametrize("overflow", ["infinity", "saturate"])
@pytest.mark.parametrize("fmt", SMALL[:-1] + ODD[:-1], ids=name)
def test_codes(fmt, overflow, device, generator):
    for x in (hard(fmt, generator), every(torch.bfloat16), every(torch.float16)):
        x = x[: len(x) // 2 * 2].view(2, -1)[:, : len(x) // 4 * 2]
        packed = codes.launch(x.to(device), fmt, overflow).cpu()
        check(packed, codes.codes_reference(x, fmt, overflow))
        low, high = packed % 16, packed // 16
        code = packed if fmt.bits > 4 else torch.stack([low, high], -1).flatten(-2)
        missing = torch.nan if fmt.specials != "none" else fmt.max
        want = round_to(x.double(), fmt, overflow=overflow).nan_to_num(missing)
        assert torch.equal(decode(code, fmt).nan_to_num(0.25), want.nan_to_num(0.25))


def test_fp8_codes_are_torch_s(device, generator):
    x = torch.randn(33, 7, generator=generator).bfloat16()
    got = cast_codes(x.to(device), formats.FP8_E4M3, overflow="saturate").cpu()
    assert torch.equal(got, x.to(torch.float8_e4m3fn).view(torch.uint8))
    for fmt in (formats.FP4_E2M1, formats.FP6_E2M3):
        for count in (2, 4094, 4096, 4098, 8190, 8194):
            x = torch.randn(count, generator=generator)
            check(codes.launch(x.to(device), fmt, "saturate"), cast_codes(x, fmt))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("exponent", [-147, -130, -126, -100, -41, -20, 0, 100, 125])
def test_nvfp4(exponent, dtype, device, generator):
    rows = 2.0 ** torch.linspace(-12, 0, 9, dtype=torch.float64)[:, None]
    x = torch.randn(9, 64, generator=generator).double().clamp(-3.9, 3.9) * rows
    x = (x * 2.0**exponent).to(dtype)
    x = x.where(x.isfinite(), 0)
    check(launch_blocks(x.to(device), formats.NVFP4), round_to_blocks(x, formats.NVFP4))


@pytest.mark.parametrize("bits", [11, 24])
def test_nvfp4_at_and_beside_every_tie(bits, device, generator):
    """With t of 11 bits the ties of elements and of scales are float32."""
    t = torch.randint(2 ** (bits - 1), 2**bits, (), generator=generator) * 2.0**-bits
    middles = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]).double()
    scales = all_values(formats.FP8_E4M3)[1:127]
    ties = beside(middles * scales[:, None] * t)  # (3, 126, 7)
    x = torch.zeros(3, 126, 16)
    x[:, :, 0], x[:, :, 1:8], x[:, :, 8:15] = 6 * scales * t, ties, -ties
    ties = beside(6 * t * (scales[1:] + scales[:-1]) / 2)  # (3, 125)
    rest = ties[..., None] * torch.linspace(-1, 1, 16)
    x = torch.cat([x.flatten(0, 1), rest.flatten(0, 1), 2688 * t.expand(1, 16)])
    check(launch_blocks(x.to(device), formats.NVFP4), round_to_blocks(x, formats.NVFP4))


def test_what_is_not_finite_makes_its_block_nan(device, generator):
    x = torch.randn(4, 64, generator=generator)
    x[0, 3], x[1, 40], x[3, 63] = torch.inf, -torch.nan, -torch.inf
    for fmt in (formats.MXFP4, formats.NVFP4):
        got = launch_blocks(x.to(device), fmt)
        check(got, blocks_reference(x, fmt))
        bad = got.cpu().isnan().view(4, 2, 32).all(-1).tolist()
        some = [[True, False], [False, True], [False, False], [False, True]]
        assert bad == (some if fmt is formats.MXFP4 else [[True] * 2] * 4)


def test_the_entries(device, generator):
    x = torch.randn(6, 64, generator=generator, requires_grad=True)
    x = x.to(device)
    check(fake_cast(x, formats.FP8_E4M3), round_to(x, formats.FP8_E4M3))
    assert not fake_cast(x, formats.FP8_E4M3).requires_grad
    got = fake_cast(x, formats.FP8_E5M2, rounding="stochastic", seed=5)
    uniform = uniforms(5, x.numel(), x.device)
    check(got, cast_reference(x.detach(), formats.FP8_E5M2, "infinity", uniform))
    for fmt in (formats.MXFP4, formats.NVFP4):
        check(fake_blocks(x, fmt), round_to_blocks(x, fmt))
        assert fake_blocks(x[:0], fmt).shape == (0, 64)
    assert fake_cast(x[:0], formats.FP16).shape == (0, 64)
    assert cast_codes(x[:0], formats.FP4_E2M1).shape == (0, 32)
    ops = torch.ops.llm_compression
    for call, inputs in (
        (ops.fake_cast, (x.detach(), [4, 3, 7, 1], "infinity", 3)),
        (ops.fake_blocks, (x.detach(), [2, 1, 1, 2], 16, [4, 3, 7, 1])),
        (ops.cast_codes, (x.detach(), [2, 1, 1, 2], "saturate")),
    ):
        torch.library.opcheck(
            call, inputs, test_utils=("test_schema", "test_faketensor")
        )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: fake_cast(x.double(), formats.FP16), r"torch\.float64"),
        (lambda x: fake_cast(x, formats.FP16, rounding="up"), "rounding='up'"),
        (lambda x: fake_cast(x, formats.FP16, rounding="stochastic"), "seed=None"),
        (lambda x: fake_cast(x, formats.FP16, seed=1), "'nearest', seed=1"),
        (
            lambda x: fake_cast(x, formats.FP16, rounding="stochastic", seed=-1),
            "seed=-1",
        ),
        (lambda x: fake_cast(x, formats.FP16, overflow="wrap"), "overflow='wrap'"),
        (lambda x: cast_codes(x.double(), formats.FP8_E4M3), r"torch\.float64"),
        (lambda x: cast_codes(x, formats.FP16), "16 bits"),
        (lambda x: cast_codes(x[:, 1:], formats.FP4_E2M1), r"share a byte.*\(2, 47\)"),
        (lambda x: fake_blocks(x.double(), formats.MXFP4), r"torch\.float64"),
        (lambda x: fake_blocks(x, formats.MXFP4), r"block=32 .* \(2, 48\)"),
        (lambda x: fake_blocks(x, BlockFormat("B", formats.BF16, 16)), "-126 to 127"),
        (
            lambda x: fake_blocks(x, BlockFormat("B", formats.FP16, 16, formats.FP16)),
            "20 fraction",
        ),
    ],
)
def test_what_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call(torch.zeros(2, 48))
