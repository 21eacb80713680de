"""The 2:4 products: every kernel against float64, at sizes that straddle its tiles."""

import pytest
import torch

from lib.kernels.core.tiles import Tile, inside
from lib.kernels.two_of_four import compress_two_of_four
from lib.kernels.two_of_four.product import (
    launch,
    pack,
    pack_codes,
    packed_reference,
    two_of_four_product,
)
from lib.kernels.wanda import prune_n_of_m
from lib.quant.uniform.grid import Grid
from lib.quant.uniform.grouped import Grouped

ULP = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24}
HALF = torch.float16
SKINNY = inside(16, 2, warps=2, stages=2)
WIDE = Tile(16, 32, warps=2, stages=2)
pytestmark = pytest.mark.usefixtures("poisoned")


def values(rows, cols, generator, dtype=HALF):
    """2:4 by size, with groups of one weight and of none, and a denormal."""
    w = torch.randn(rows, cols, generator=generator).to(dtype)
    w[:, :8], w[0, 3], w[-1, -1] = 0, 2.0**-20, 3.0
    return prune_n_of_m(w)


def codes(rows, cols, generator, group=64):
    """Symmetric codes over the whole range, two of four; one denormal scale."""
    shape = (rows, cols // group)
    whole = torch.randint(-8, 8, (rows, cols), generator=generator).float()
    kept = prune_n_of_m(whole).to(torch.int8)
    scale = torch.rand(shape, generator=generator) / 16 + 2**-8
    scale[0, -1] = 3 * 2.0**-24
    grid = Grid(scale.half().float(), torch.zeros(shape, dtype=torch.int32), -8, 7)
    return Grouped(kept, grid)


def packed(rows, cols, generator, *, coded, dtype=HALF, group=64):
    if coded:
        return pack_codes(codes(rows, cols, generator, group))
    return pack(compress_two_of_four(values(rows, cols, generator, dtype)))


def check(y, x, w):
    """y within the bound of a float32 sum and one rounding, of the float64 product."""
    exact = packed_reference(x.double(), w, dtype=torch.float64)
    size = w.unpacked(torch.float64).abs()
    bound = 2.0**-24 * (w.cols + 8) * (x.double().abs() @ size.T)
    bound += ULP[x.dtype] * (exact.abs() + bound) + 2.0**-24  # half's last denormal
    worst = ((y.double() - exact).abs() / bound).max()
    assert y.shape == exact.shape and y.dtype == x.dtype
    assert worst <= 1, f"an error of {worst:.2f} times what the arithmetic allows"


def run(m, rows, cols, tile, device, generator, *, coded, dtype=HALF, **options):
    group = options.pop("group", 64)
    w = packed(rows, cols, generator, coded=coded, dtype=dtype, group=group)
    w, x = w.to(device), torch.randn(m, cols, generator=generator).to(dtype).to(device)
    check(launch(x, w, tile, **options), x, w)


@pytest.mark.parametrize("cols", [8, 192, 256, 520])
def test_what_is_packed_comes_back_exactly(cols, generator):
    w = values(5, cols, generator)
    kept = pack(compress_two_of_four(w))
    assert torch.equal(kept.unpacked(HALF), w)
    if cols % 256 == 0:
        assert kept.nbytes == 5 * cols // 4 * 4.5, "two values and four bits a group"


def test_codes_come_back_as_their_levels_and_take_three_bits_and_a_scale(generator):
    grouped = codes(5, 512, generator, group=128)
    kept = pack_codes(grouped)
    assert torch.equal(kept.unpacked(), grouped.dequantize())
    assert kept.nbytes == 5 * 512 * (3 + 16 / 64) / 8


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize(("m", "rows", "cols"), [(1, 17, 576), (3, 9, 320)])
def test_few_tokens(m, rows, cols, coded, device, generator):
    """The last turn leaves a warp without a chunk, or a chunk with few columns."""
    run(m, rows, cols, SKINNY, device, generator, coded=coded)


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize(("m", "splits"), [(17, 1), (33, 2)])
def test_many_tokens(m, splits, coded, device, generator):
    tile = Tile(16, 32, splits, warps=2, stages=2)
    run(m, 15, 384, tile, device, generator, coded=coded, group=128)


@pytest.mark.parametrize("coded", [False, True])
def test_naive(coded, device, generator):
    run(2, 3, 320, None, device, generator, coded=coded, naive=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("coded", [False, True])
def test_other_dtypes(coded, dtype, device, generator):
    run(2, 16, 256, SKINNY, device, generator, coded=coded, dtype=dtype)


@pytest.mark.parametrize(("rows", "cols"), [(1, 64), (15, 8), (16, 256), (17, 1032)])
def test_rows_and_columns_that_straddle_the_tile(rows, cols, device, generator):
    tile = SKINNY if rows != 16 else WIDE
    run(1, rows, cols, tile, device, generator, coded=False)


def test_the_tiles_that_are_chosen_by_the_rule(device, generator):
    for m in (1, 16, 20):
        run(m, 24, 256, None, device, generator, coded=m == 16)


def test_each_kept_weight_meets_its_own_column(device, generator):
    """Kept in the middle of a group: places 1 and 2, both values in their order."""
    w = torch.zeros(16, 256).half()
    w[:, 1], w[:, 2] = 1, 10
    x = torch.ones(1, 256).half()
    x[0, :4] = torch.tensor([5.0, 2.0, 3.0, 7.0])
    y = launch(x.to(device), pack(compress_two_of_four(w)).to(device), SKINNY)
    assert (y == 32).all()


def test_the_entry_takes_what_linear_takes(device, generator):
    for coded in (False, True):
        w = packed(24, 256, generator, coded=coded).to(device)
        x = torch.randn(2, 3, 256, generator=generator).half().to(device)
        y = two_of_four_product(x, w)
        assert y.shape == (2, 3, 24)
        check(y.flatten(0, 1), x.flatten(0, 1), w)
        assert two_of_four_product(x[:0], w).shape == (0, 3, 24)
        torch.library.opcheck(
            torch.ops.llm_compression.two_of_four_product,
            (x[0], w.weights, w.places, w.scales),
            test_utils=("test_schema", "test_faketensor"),
        )


def test_what_the_entry_refuses(generator):
    w = packed(4, 128, generator, coded=False)
    for x, message in (
        (torch.zeros(1, 128), "x is torch.float32, the kept values torch.float16"),
        (torch.zeros(1, 64).half(), r"\(1, 64\) does not end in 128"),
        (torch.zeros(1, 128, requires_grad=True).half(), "gradient"),
    ):
        with pytest.raises(ValueError, match=message):
            two_of_four_product(x, w)


def test_what_cannot_be_packed(generator):
    grouped = codes(4, 128, generator)
    grid = grouped.grid
    full = Grouped(torch.ones(4, 128, dtype=torch.int8), grid)
    with pytest.raises(ValueError, match="4 of four neighbours are kept"):
        pack_codes(full)
    with pytest.raises(ValueError, match="groups of 32 columns"):
        pack_codes(codes(4, 128, generator, group=32))
    with pytest.raises(ValueError, match="codes 0 to 15 are not symmetric"):
        pack_codes(Grouped(grouped.codes, Grid(grid.scale, grid.zero, 0, 15)))
    with pytest.raises(ValueError, match="exceeds fp16"):
        pack_codes(Grouped(grouped.codes, Grid(grid.scale + 1e6, grid.zero, -8, 7)))
