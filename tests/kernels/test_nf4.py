"""NF4: the product against float64, dequantization bit for bit as in lib.quant."""

import pytest
import torch

from lib.kernels import nf4_dequantize, nf4_product, pack_nf4
from lib.kernels.core.planes import Planes
from lib.kernels.core.tiles import inside
from lib.kernels.nf4 import product as nf4
from lib.kernels.nf4.dequantize import launch as dequantize
from lib.quant.codebooks.double import DoubleScales
from lib.quant.codebooks.normal_float import (
    FourBit,
    dequantize_4bit,
    normal_float_levels,
    quantize_4bit,
)

LEVEL = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24}
TILE = inside(16, 2, warps=2, stages=2)
pytestmark = pytest.mark.usefixtures("poisoned")


def moved(quantized: FourBit, device) -> FourBit:
    scales = quantized.scales
    if isinstance(scales, DoubleScales):
        scales = DoubleScales(
            scales.codes.to(device),
            scales.scales.to(device),
            scales.mean.to(device),
            scales.block,
        )
    else:
        scales = scales.to(device)
    return FourBit(
        quantized.packed.to(device),
        scales,
        quantized.kind,
        quantized.block,
        quantized.shape,
        quantized.dtype,
    )


def check(y, x, w):
    """y within the levels' rounding, a float32 sum's and its own, of the exact y."""
    exact = nf4.nf4_reference(x.double(), w, dtype=torch.float64)
    levels = normal_float_levels().to(x.device, torch.float64)
    size = levels[w.unpacked().int()].abs()
    size = size.unflatten(1, (w.planes.groups, -1)) * w.block_scales()[..., None].abs()
    terms = x.double().abs() @ size.flatten(1).T
    bound = (LEVEL[x.dtype] + 2.0**-24 * (w.planes.cols + 8)) * terms
    bound += LEVEL[x.dtype] * (exact.abs() + bound) + 2.0**-24
    worst = ((y.double() - exact).abs() / bound).max()
    assert y.shape == exact.shape and y.dtype == x.dtype
    assert worst <= 1, f"an error of {worst:.2f} times what the arithmetic allows"


def run(m, rows, cols, device, generator, *, block=64, double=True, **options):
    dtype = options.pop("dtype", torch.float16)
    weight = torch.randn(rows, cols, generator=generator)
    w = pack_nf4(quantize_4bit(weight, block=block, double=double)).to(device)
    x = torch.randn(m, cols, generator=generator).to(dtype).to(device)
    check(nf4.launch(x, w, options.pop("tile", TILE), **options), x, w)


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("m", [1, 2, 3, 16])
def test_product(m, double, device, generator):
    run(m, 33, 320, device, generator, double=double)


@pytest.mark.parametrize("block", [32, 48, 64, 128, 256])
def test_blocks(block, device, generator):
    run(2, 17, 3 * block, device, generator, block=block)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_other_dtypes(dtype, device, generator):
    run(2, 16, 256, device, generator, dtype=dtype)


def test_more_scales_than_one_nested_block(device, generator):
    run(1, 40, 1024, device, generator)


def test_naive(device, generator):
    run(2, 5, 128, device, generator, naive=True)


def test_the_rule_s_tiles(device, generator):
    for m in (1, 9, 20):
        run(m, 48, 512, device, generator, tile=None)


def test_the_packed_matrix_is_the_quantized_one(generator):
    for double in (True, False):
        quantized = quantize_4bit(
            torch.randn(6, 192, generator=generator), double=double
        )
        w = pack_nf4(quantized)
        y = nf4.nf4_reference(torch.eye(192), w)
        assert torch.equal(y.T, dequantize_4bit(quantized))


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str
)
@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize(
    ("shape", "block"), [((1,), 64), ((3, 43), 64), ((64, 64), 64), ((5, 60), 6)]
)
def test_dequantization_is_bit_for_bit(shape, block, double, dtype, device, generator):
    w = torch.randn(shape, generator=generator).to(dtype)
    quantized = quantize_4bit(w, block=block, double=double)
    got = dequantize(moved(quantized, device)).cpu()
    assert got.dtype == dtype and torch.equal(got, dequantize_4bit(quantized))


def test_denormal_scales(device, generator):
    w = torch.randn(2, 64, generator=generator) * 2.0**-22
    quantized = quantize_4bit(w.half())
    got = dequantize(moved(quantized, device)).cpu()
    assert torch.equal(got, dequantize_4bit(quantized))


def test_the_entries(device, generator):
    quantized = quantize_4bit(torch.randn(8, 128, generator=generator), double=True)
    w = pack_nf4(quantized).to(device)
    x = torch.randn(2, 3, 128, generator=generator).half().to(device)
    check(nf4_product(x, w).flatten(0, 1), x.flatten(0, 1), w)
    assert nf4_product(x[:0], w).shape == (0, 3, 8)
    got = nf4_dequantize(moved(quantized, device)).cpu()
    assert torch.equal(got, dequantize_4bit(quantized))
    torch.library.opcheck(
        torch.ops.llm_compression.nf4_product,
        (x[0], w.codes, w.scales, w.nested, w.mean, 64, 256),
        test_utils=("test_schema", "test_faketensor"),
    )


def test_what_is_refused(generator):
    w = torch.randn(4, 96, generator=generator)
    with pytest.raises(ValueError, match="run over the ends of rows of 96"):
        pack_nf4(quantize_4bit(w))
    with pytest.raises(ValueError, match="kind='fp4'"):
        pack_nf4(quantize_4bit(w, kind="fp4", block=32))
    with pytest.raises(ValueError, match="kind='fp4'"):
        nf4_dequantize(quantize_4bit(w, kind="fp4"))
    with pytest.raises(ValueError, match=r"torch\.float64"):
        nf4_dequantize(quantize_4bit(w.double()))
    with pytest.raises(ValueError, match="does not end in 96"):
        nf4_product(torch.zeros(2, 95), pack_nf4(quantize_4bit(w, block=32)))


@pytest.mark.parametrize("block", [32, 64, 128])
@pytest.mark.parametrize("tokens", [1, 3, 8, 16])
@pytest.mark.parametrize("cols", [128, 1536, 4096, 8192])
def test_a_table_is_filled_where_it_pays_and_the_launch_asks_for_its_room(
    cols, tokens, block
):
    planes, rows = Planes(cols, block), 4096
    codes = torch.empty(planes.chunks, rows, planes.length, dtype=torch.int16)
    scales = torch.zeros(planes.chunks, rows, 1)
    w = nf4.Nf4(codes, scales, torch.zeros(1), torch.zeros(()), planes, 1)
    x = torch.zeros(tokens, cols, dtype=torch.float16)
    tile = nf4.nf4_tile(x, w)
    assert nf4.has_pair_table(tile, planes, 2) == (tile.rows * cols >= nf4.TABLE_PAYS)
    assert not nf4.has_pair_table(tile, planes, 4), "float32 reads its own levels"
    assert nf4.buffer_bytes(tile, planes, 2) <= (227 - 34) << 10
