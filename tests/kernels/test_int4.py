"""The 4-bit product: every kernel against float64, at sizes that straddle its tiles."""

import pytest
import torch

from lib.kernels.core.planes import (
    Planes,
    pack_pairs,
    pack_planes,
    unpack_pairs,
    unpack_planes,
)
from lib.kernels.core.tiles import Tile, inside
from lib.kernels.int4 import Int4, int4_product, int4_reference, launch, pack_int4
from lib.quant.uniform.grid import Grid
from lib.quant.uniform.grouped import Grouped, round_to_nearest

ULP = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24}
HALF = torch.float16
pytestmark = pytest.mark.usefixtures("poisoned")


def random_matrix(rows, cols, group, generator, *, symmetric=True):
    """Codes over the whole range, zero points at both edges, one denormal scale."""
    low, high = (-8, 7) if symmetric else (0, 15)
    shape = (rows, cols // group)
    codes = torch.randint(low, high + 1, (rows, cols), generator=generator)
    zero = torch.zeros(shape, dtype=torch.int64)
    if not symmetric:
        zero = torch.randint(0, 16, shape, generator=generator)
        zero[0, 0], zero[-1, -1] = 0, 15
    scale = torch.rand(shape, generator=generator) / 16 + 2**-8
    scale[0, -1] = 3 * 2.0**-24  # a denormal of fp16
    dtype = torch.int8 if symmetric else torch.uint8
    grid = Grid(scale.half().float(), zero.int(), low, high)
    return Grouped(codes.to(dtype), grid)


def check(y, x, w: Int4):
    """y within the bound of a float32 sum and one rounding, of the float64 product."""
    exact = int4_reference(x.double(), w, dtype=torch.float64)
    scale, zero = w.grid()
    codes = w.unpacked().int()
    size = (codes.unflatten(1, (w.planes.groups, -1)) - zero[..., None]).abs()
    size = (size * scale[..., None].double()).flatten(1)
    bound = 2.0**-24 * (w.planes.cols + 8) * (x.double().abs() @ size.T)
    bound += ULP[x.dtype] * (exact.abs() + bound) + 2.0**-24  # half's last denormal
    worst = ((y.double() - exact).abs() / bound).max()
    assert y.shape == exact.shape and y.dtype == x.dtype
    assert worst <= 1, f"an error of {worst:.2f} times what the arithmetic allows"


def run(m, rows, cols, group, tile, device, generator, *, dtype=HALF, **options):
    symmetric = options.pop("symmetric", True)
    grouped = random_matrix(rows, cols, group, generator, symmetric=symmetric)
    w = pack_int4(grouped).to(device)
    x = torch.randn(m, cols, generator=generator).to(dtype).to(device)
    check(launch(x, w, tile, **options), x, w)


SKINNY = inside(16, 2, warps=2, stages=2)
WIDE = Tile(16, 32, warps=2, stages=2)


@pytest.mark.parametrize(
    ("pack", "unpack"), [(pack_planes, unpack_planes), (pack_pairs, unpack_pairs)]
)
@pytest.mark.parametrize(("cols", "group"), [(100, 100), (96, 32), (320, 64), (48, 16)])
def test_planes_hold_every_code_once(cols, group, pack, unpack, generator):
    codes = torch.randint(0, 16, (5, cols), generator=generator).to(torch.uint8)
    planes = Planes(cols, group)
    words = pack(codes, planes)
    assert words.shape == (planes.chunks, 5, planes.length)
    assert torch.equal(unpack(words, planes), codes)
    columns = planes.columns()
    assert columns[columns >= 0].sort().values.tolist() == list(range(cols))


def test_unpacked_weights_equal_the_grid_s(generator):
    for symmetric in (True, False):
        grouped = random_matrix(7, 192, 64, generator, symmetric=symmetric)
        eye = torch.eye(192)
        assert torch.equal(
            int4_reference(eye, pack_int4(grouped)).T, grouped.dequantize()
        )


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_few_tokens(m, symmetric, device, generator):
    run(m, 33, 640, 128, SKINNY, device, generator, symmetric=symmetric)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("m", "splits"), [(17, 1), (33, 3)])
def test_many_tokens(m, splits, symmetric, device, generator):
    tile = Tile(16, 32, splits, warps=2, stages=2)
    run(m, 17, 640, 128, tile, device, generator, symmetric=symmetric)


@pytest.mark.parametrize("symmetric", [True, False])
def test_naive(symmetric, device, generator):
    run(2, 5, 256, 128, None, device, generator, naive=True, symmetric=symmetric)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("m", [2, 18])
def test_other_dtypes(m, dtype, device, generator):
    tile = SKINNY if m < 17 else WIDE
    run(m, 16, 256, 64, tile, device, generator, dtype=dtype, symmetric=False)


@pytest.mark.parametrize("group", [16, 32, 48, 96, 100, 160, 256])
@pytest.mark.parametrize("m", [1, 17])
def test_any_group_that_divides(group, m, device, generator):
    tile = SKINNY if m < 17 else WIDE
    cols = 3 * group if group < 160 else 2 * group
    run(m, 15, cols, group, tile, device, generator, symmetric=group % 3 == 0)


@pytest.mark.parametrize("rows", [1, 15, 16, 17])
def test_rows_that_straddle_the_tile(rows, device, generator):
    run(1, rows, 128, 128, SKINNY, device, generator)


def test_the_tiles_that_are_chosen_by_the_rule(device, generator):
    for m in (1, 5, 16, 40):
        run(m, 48, 512, 128, None, device, generator)


def test_the_same_bits_again(device, generator):
    w = pack_int4(random_matrix(32, 512, 128, generator)).to(device)
    x = torch.randn(20, 512, generator=generator).half().to(device)
    tile = Tile(16, 32, splits=4, warps=2, stages=2)
    assert torch.equal(launch(x, w, tile), launch(x, w, tile))
    assert torch.equal(launch(x[:1], w, SKINNY), launch(x[:1], w, SKINNY))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # numpy's inf - inf
def test_denormal_and_infinite_activations(device, generator):
    w = pack_int4(random_matrix(16, 128, 128, generator)).to(device)
    x = torch.full((1, 128), 2.0**-24).half().to(device)
    check(launch(x, w, SKINNY), x, w)
    x[0, 5] = torch.inf
    y = launch(x, w, SKINNY)
    assert torch.equal(y.isfinite(), int4_reference(x, w).isfinite())


def test_a_view_that_is_not_contiguous(device, generator):
    w = pack_int4(random_matrix(16, 128, 128, generator)).to(device)
    x = torch.randn(128, 2, generator=generator).half().to(device).T
    check(launch(x, w, SKINNY), x, w)


def test_the_entry_takes_what_linear_takes(device, generator):
    w = pack_int4(random_matrix(24, 256, 128, generator, symmetric=False)).to(device)
    x = torch.randn(2, 3, 256, generator=generator).half().to(device)
    y = int4_product(x, w)
    assert y.shape == (2, 3, 24)
    check(y.flatten(0, 1), x.flatten(0, 1), w)
    assert int4_product(x[:0], w).shape == (0, 3, 24)
    assert int4_product(x[0, 0], w).shape == (24,)


def test_the_entry_is_one_node_for_the_compiler(device, generator):
    w = pack_int4(random_matrix(16, 128, 128, generator)).to(device)
    x = torch.randn(2, 128, generator=generator).half().to(device)
    torch.library.opcheck(
        torch.ops.llm_compression.int4_product,
        (x, w.codes, w.constants, 128),
        test_utils=("test_schema", "test_faketensor"),
    )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(1, 128, dtype=torch.float64), "torch.float64"),
        (torch.zeros(1, 64), r"\(1, 64\) does not end in 128"),
        (torch.zeros(1, 128, device="meta"), "on meta"),
        (torch.zeros(1, 128, requires_grad=True), "gradient"),
    ],
)
def test_what_the_entry_refuses(x, message, generator):
    w = pack_int4(random_matrix(4, 128, 128, generator))
    with pytest.raises(ValueError, match=message):
        int4_product(x, w)


def test_what_cannot_be_packed(generator):
    w = torch.randn(4, 64, generator=generator)
    with pytest.raises(ValueError, match="do not fit 4 bits"):
        pack_int4(round_to_nearest(w, bits=5, group=32))
    whole = round_to_nearest(w, bits=4, group=32)
    with pytest.raises(ValueError, match="another order"):
        pack_int4(Grouped(whole.codes, whole.grid, torch.arange(64).flip(0)))
    with pytest.raises(ValueError, match=r"exceeds fp16"):
        grid = whole.grid
        huge = Grid(grid.scale * 1e6 + 1e6, grid.zero, grid.low, grid.high)
        pack_int4(Grouped(whole.codes, huge))


def test_a_tile_names_what_is_wrong():
    with pytest.raises(ValueError, match="rows=48"):
        Tile(48, 1)
    with pytest.raises(ValueError, match="splits=0"):
        Tile(16, 1, splits=0)
    with pytest.raises(ValueError, match="splits=2 inside, but warps=4"):
        Tile(16, 1, splits=2, inside=True)
