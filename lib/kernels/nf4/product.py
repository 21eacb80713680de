"""y = x Ŵᵀ for NF4 weights with double quantization, decoded on the way.

    y[m, n] = Σ_b c[b, n] Σ_{k in b} l(q[n, k]) x[m, k],     c = d[r] c₂ + μ

Bytes: N K / 2 of codes, N K / 64 of 8-bit scales, N K / 4096 of theirs, 2 M K of x,
2 M N of y: 0.516 bytes a weight (0.563 with float32 scales; fp16's own are 2).

The sixteen levels l are rounded to the dtype of x, for the matrix unit takes 16 bits;
the scale multiplies each block's float32 sum. So for n terms the error is that of a
float32 sum, n 2⁻²⁴ Σ |c l x|, of the levels, 2⁻¹¹ Σ |c l x| (bf16: 2⁻⁹), and of one
rounding of y. bitsandbytes rounds c l instead, which costs the same.

Read in order: `Nf4`, `pack_nf4`, `nf4_reference`, the kernels in
product_triton.py, `launch`, `nf4_product`. Taught in notebooks/16.
Source: Dettmers et al. 2023, arXiv:2305.14314, section 3.
"""

from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float, Float32, Int16, UInt8
from torch import Tensor

from lib.kernels.core.compiler import pdl_options, require_triton, widened
from lib.kernels.core.entry import checked_activations
from lib.kernels.core.planes import (
    PLANES_PER_WORD,
    Planes,
    pack_constants,
    pack_pairs,
    planes_of,
    unpack_constants,
    unpack_pairs,
)
from lib.kernels.core.tiles import Tile, fitted, inside, look_up, num_sms, power_above
from lib.kernels.nf4.product_triton import naive as _naive
from lib.kernels.nf4.product_triton import skinny as _skinny
from lib.kernels.nf4.scales_triton import ScaleKind, Scales
from lib.quant.codebooks.double import DoubleScales, dynamic_levels
from lib.quant.codebooks.normal_float import FourBit, normal_float_levels

# CUDA gives a program more than 48 KB of shared memory only if its launch opts in, and
# Triton's launch does so where the buffers that Triton allocates exceed 48 KB. It does
# not count the tables, 33 KB, which assembly allocates. So a program has tables only if
# its buffers alone take so much: with smaller ones the launch would fail.
OPT_IN_BYTES = 48 << 10
SCALES_BYTES = 56  # of a row's scales in a chunk, with what lies between buffers
TABLE_PAYS = 1 << 16  # weights of a program from which on a table costs less


@dataclass(frozen=True, eq=False)
class Nf4:
    """A matrix in the kernels' layout: codes in pairs, a scale a block beside.

    With double quantization `scales` are codes into the 256 dynamic levels; then
    `nested` and `mean` belong to them, in the order of lib.quant.codebooks.double.
    """

    codes: Int16[Tensor, "chunks rows length"]
    scales: UInt8[Tensor, "chunks rows four"] | Float32[Tensor, "chunks rows blocks"]
    nested: Float32[Tensor, " nested"]
    mean: Float32[Tensor, "*rows"]  # one, or one for each row
    planes: Planes
    nested_block: int

    @property
    def nbytes(self) -> int:
        """Bytes of codes and scales."""
        parts = (self.codes, self.scales, self.nested, self.mean)
        return sum(part.nbytes for part in parts)

    def to(self, device: torch.device | str) -> "Nf4":
        """The same matrix elsewhere."""
        names = ("codes", "scales", "nested", "mean")
        return replace(self, **{n: getattr(self, n).to(device) for n in names})

    def unpacked(self) -> UInt8[Tensor, "rows cols"]:
        """The codes 0 … 15 in their columns."""
        return unpack_pairs(self.codes, self.planes)

    @property
    def scale_kind(self) -> ScaleKind:
        """What the kernels have to know of the scales when they are compiled."""
        double = self.scales.dtype == torch.uint8
        per_row = double and self.nested_block % self.planes.groups == 0
        bits, means = 8 * self.scales.itemsize, bool(self.mean.ndim)
        return ScaleKind(bits, self.nested_block, per_row, means)

    def block_scales(self) -> Float32[Tensor, "rows blocks"]:
        """c, a row of blocks for each row of the matrix."""
        scales = unpack_constants(self.scales, self.planes).T
        if scales.dtype == torch.float32:
            return scales
        count = scales.numel()
        nested = self.nested.repeat_interleave(self.nested_block)[:count]
        levels = dynamic_levels().to(scales.device)[scales.int()]
        return levels * nested.view(scales.shape) + self.mean.view(-1, 1)


def pack_nf4(quantized: FourBit) -> Nf4:
    """The kernels' layout of an NF4 matrix whose rows are whole blocks.

    ValueError for another kind or shape, where blocks run over the ends of rows, and
    for so many codes that offsets exceed 32 bits.
    """
    if quantized.kind != "nf4" or len(quantized.shape) != 2:
        raise ValueError(
            f"kind={quantized.kind!r} of shape {tuple(quantized.shape)} "
            "is no matrix in NF4"
        )
    (rows, cols), block = quantized.shape, quantized.block
    if cols % block:
        raise ValueError(
            f"blocks of {block} run over the ends of rows of {cols}: "
            "dequantize the matrix, or quantize its rows in blocks that divide them"
        )
    codes = torch.stack([quantized.packed >> 4, quantized.packed & 15], 1)
    codes = codes.flatten()[: rows * cols].view(rows, cols)
    scales, none = quantized.scales, torch.zeros(1, device=codes.device)
    nested, mean, nested_block = none, none[0], 1
    if isinstance(scales, DoubleScales):
        nested, mean = scales.scales, scales.mean
        nested_block, scales = scales.block, scales.codes
    planes = planes_of(cols, block)
    return Nf4(
        codes=pack_pairs(codes, planes),
        scales=pack_constants(scales.view(rows, -1).T, planes),
        nested=nested,
        mean=mean,
        planes=planes,
        nested_block=nested_block,
    )


def nf4_reference(
    x: Float[Tensor, "m cols"], w: Nf4, *, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "m rows"]:
    """The equation, in `dtype`; y in the dtype of x."""
    levels = normal_float_levels().to(w.codes.device, dtype)
    blocks = levels[w.unpacked().int()]
    blocks = blocks.unflatten(1, (w.planes.groups, -1)) * w.block_scales()[..., None]
    return (x.to(dtype) @ blocks.flatten(1).to(dtype).T).to(x.dtype)


@cache
def tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """The 256 dynamic levels and the 16 of NF4, where the kernels can read them."""
    return dynamic_levels().to(device), normal_float_levels().to(device)


def buffer_bytes(tile: Tile, planes: Planes, itemsize: int) -> int:
    """Bytes of shared memory that a program's buffers of codes and of x take.

    Triton copies x in the background only where a thread has four bytes of it or more.
    """
    plane = planes.length * tile.batch * itemsize  # of x, a warp each
    tokens = PLANES_PER_WORD * plane if plane >= 4 * 32 else 0
    each = 2 * planes.length * tile.rows + tokens
    return (tile.stages - 1) * tile.splits * each


def has_pair_table(tile: Tile, planes: Planes, itemsize: int) -> bool:
    """Whether a program fills a table of pairs: in 16 bits, where it pays and fits."""
    pays = tile.rows * planes.cols >= TABLE_PAYS
    return (
        pays and itemsize == 2 and buffer_bytes(tile, planes, itemsize) >= OPT_IN_BYTES
    )


def nf4_tile(x: Float[Tensor, "m cols"], w: Nf4) -> Tile:
    """The measured tile, or one that fills every multiprocessor twice."""
    rows = w.codes.shape[1]
    size = x.element_size()
    measured = look_up("nf4", x, rows, w.planes.cols)
    tile = measured or _rule(len(x), rows, w.planes, num_sms(x), size)
    return tile if size == 2 else fitting(tile, w.planes)


def shared_bytes(tile: Tile, planes: Planes) -> int:
    """Shared memory of a program with float32 x, in bytes; a compiler takes no more.

    There each chunk's levels are copied in the background as x is, four bytes each.
    """
    columns = PLANES_PER_WORD * planes.length
    each = 4 * columns * (tile.rows + tile.batch) + SCALES_BYTES * tile.rows
    return (tile.stages - 1) * tile.splits * each


@cache
def fitting(tile: Tile, planes: Planes) -> Tile:
    """`tile`, or the nearest below it that fits with float32 x."""
    return fitted(tile, lambda smaller: shared_bytes(smaller, planes))


@cache
def _rule(m: int, rows: int, planes: Planes, num_sms: int, itemsize: int) -> Tile:
    tall = 32 if rows >= 24 * num_sms else 16
    batch = min(16, power_above(m))
    if tall * planes.cols < TABLE_PAYS:
        splits = max(2, min(8, power_above(planes.chunks)))
        return inside(tall, batch, splits, min(3, 1 + -(-planes.chunks // splits)))
    tile = inside(tall, batch, (4 if m <= 8 else 2) * 64 // planes.length, stages=2)
    stages = 1 + -(-OPT_IN_BYTES // buffer_bytes(tile, planes, itemsize))
    return replace(tile, stages=stages)


def launch(
    x: Float[Tensor, "m cols"], w: Nf4, tile: Tile | None = None, *, naive: bool = False
) -> Float[Tensor, "m rows"]:
    """y by a kernel, in the dtype of x: where x lives, in the given tile.

    ImportError without Triton; ValueError where no kernel reaches x.
    """
    require_triton(x)
    (m, k), n, planes = x.shape, w.codes.shape[1], w.planes
    tile, dtype = tile or nf4_tile(x, w), x.dtype
    x = x.contiguous().to(widened(dtype))
    y = x.new_empty(m, n)
    dynamic, levels = tables(x.device)
    scales = Scales(w.scales.view(torch.int32), w.nested, w.mean, dynamic)
    sizes = (m, n, k, planes.chunks, planes.groups)
    arguments = (x, w.codes, scales, levels, y, *sizes)
    layout = {"LAYOUT": planes.layout, "KIND": w.scale_kind}
    if naive:
        _naive[(n, m)](*arguments, **layout, num_warps=1)
        return y.to(dtype)
    _skinny[tile.grid(n, m)](
        *arguments,
        **layout,
        SEAMLESS=planes.seamless and planes.chunks % tile.splits == 0,
        PAIR_TABLE=has_pair_table(tile, planes, x.element_size()),
        SPLITS=tile.splits,
        ROWS=tile.rows,
        BATCH=tile.batch,
        STAGES=tile.stages,
        num_warps=tile.warps,
        num_stages=tile.stages,
        **pdl_options(x),
    )
    return y.to(dtype)


def nf4_product(
    x: Float[Tensor, "*batch cols"], w: Nf4
) -> Float[Tensor, "*batch rows"]:
    """y = x Ŵᵀ in the dtype of x: on a GPU the fast kernel, on a CPU the reference.

    Made for few tokens: from about a hundred on, dequantize and multiply is faster.
    ValueError as in `int4_product`.
    """
    flat = checked_activations(x, w.planes.cols, w.codes.device)
    y = torch.ops.llm_compression.nf4_product(
        flat,
        w.codes,
        w.scales,
        w.nested,
        w.mean,
        w.planes.group,
        w.nested_block,
    )
    return y.view(*x.shape[:-1], y.shape[1])


torch.library.define(
    "llm_compression::nf4_product",
    "(Tensor x, Tensor codes, Tensor scales, Tensor nested, Tensor mean, "
    "int block, int nested_block) -> Tensor",
)


def _matrix(x, codes, scales, nested, mean, block: int, nested_block: int) -> Nf4:
    planes = planes_of(x.shape[1], block)
    return Nf4(codes, scales, nested, mean, planes, nested_block)


@torch.library.impl("llm_compression::nf4_product", "CPU")
def _on_cpu(x: Tensor, *parts) -> Tensor:
    return nf4_reference(x, _matrix(x, *parts))


def _on_cuda(x: Tensor, *parts) -> Tensor:
    w = _matrix(x, *parts)
    return launch(x, w) if len(x) else x.new_empty(0, w.scales.shape[1])


torch.library.impl("llm_compression::nf4_product", "CUDA", _on_cuda)


@torch.library.register_fake("llm_compression::nf4_product")
def _shape_only(x: Tensor, codes: Tensor, scales: Tensor, *_) -> Tensor:
    return x.new_empty(x.shape[0], scales.shape[1])
