"""y = x Ŵᵀ for NF4 weights with double quantization, decoded on the way.

    y[m, n] = Σ_b c[b, n] Σ_{k in b} l(q[n, k]) x[m, k],     c = d[r] c₂ + μ

Bytes: N K / 2 of codes, N K / 64 of 8-bit constants, N K / 4096 of theirs, 2 M K of x,
2 M N of y: 0.516 bytes a weight (0.563 with float32 constants; fp16's own are 2).

The sixteen levels l are rounded to the dtype of x, for the matrix unit takes 16 bits;
the constant multiplies each block's float32 sum. So for n terms the error is that of a
float32 sum, n 2⁻²⁴ Σ |c l x|, of the levels, 2⁻¹¹ Σ |c l x| (bf16: 2⁻⁹), and of one
rounding of y. bitsandbytes rounds c l instead, which costs the same.

Read in order: `Nf4`, `pack_nf4`, `nf4_reference`, the kernels in nf4_triton.py,
`launch`, `nf4_product`. Taught in notebooks/16.
Source: Dettmers et al. 2023, arXiv:2305.14314, section 3.
"""

from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float, Float32, Int16, UInt8
from torch import Tensor

from lib.kernels.core.compiler import in_a_row, require_triton, widened
from lib.kernels.core.entry import checked_activations
from lib.kernels.core.planes import (
    FOUR,
    Planes,
    pack_constants,
    pack_pairs,
    planes_of,
    unpack_constants,
    unpack_pairs,
)
from lib.kernels.core.tiles import Tile, chosen, inside, multiprocessors, power_above
from lib.kernels.nf4.product_triton import naive as _naive
from lib.kernels.nf4.product_triton import skinny as _skinny
from lib.quant.codebooks.double import DoubleScales, dynamic_levels
from lib.quant.codebooks.normal_float import FourBit, normal_float_levels

# Up to 48 KB a launch does not ask for shared memory, and the table is not counted:
# so the buffers must take as much by themselves.
DYNAMIC = 48 << 10
PAYS = 1 << 16  # weights of a program from which on filling the table costs less


@dataclass(frozen=True, eq=False)
class Nf4:
    """A matrix in the kernels' layout: codes in pairs, constants beside.

    With double quantization the constants are codes into the 256 dynamic levels; then
    `nested` and `mean` belong to them, in the order of lib.quant.codebooks.double.
    """

    codes: Int16[Tensor, "chunks rows length"]
    constants: UInt8[Tensor, "chunks rows four"] | Float32[Tensor, "chunks rows places"]
    nested: Float32[Tensor, " nested"]
    mean: Float32[Tensor, ""]
    planes: Planes
    nested_block: int

    @property
    def nbytes(self) -> int:
        """Bytes of codes and constants."""
        parts = (self.codes, self.constants, self.nested, self.mean)
        return sum(part.nbytes for part in parts)

    def to(self, device: torch.device | str) -> "Nf4":
        """The same matrix elsewhere."""
        names = ("codes", "constants", "nested", "mean")
        return replace(self, **{n: getattr(self, n).to(device) for n in names})

    def unpacked(self) -> UInt8[Tensor, "rows cols"]:
        """The codes 0 … 15 in their columns."""
        return unpack_pairs(self.codes, self.planes)

    def scales(self) -> Float32[Tensor, "rows blocks"]:
        """c, a row of blocks for each row of the matrix."""
        constants = unpack_constants(self.constants, self.planes).T
        if constants.dtype == torch.float32:
            return constants
        count = constants.numel()
        nested = self.nested.repeat_interleave(self.nested_block)[:count]
        levels = dynamic_levels().to(constants.device)[constants.int()]
        return levels * nested.view(constants.shape) + self.mean


def pack_nf4(quantized: FourBit) -> Nf4:
    """The kernels' layout of an NF4 matrix whose rows are whole blocks.

    ValueError for another kind or shape, and where blocks run over the ends of rows.
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
    constants, none = quantized.scales, torch.zeros(1, device=codes.device)
    nested, mean, nested_block = none, none[0], 1
    if isinstance(constants, DoubleScales):
        nested, mean = constants.scales, constants.mean
        nested_block, constants = constants.block, constants.codes
    planes = planes_of(cols, block)
    return Nf4(
        codes=pack_pairs(codes, planes),
        constants=pack_constants(constants.view(rows, -1).T, planes),
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
    blocks = blocks.unflatten(1, (w.planes.groups, -1)) * w.scales()[..., None]
    return (x.to(dtype) @ blocks.flatten(1).to(dtype).T).to(x.dtype)


@cache
def tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """The 256 dynamic levels and the 16 of NF4, where the kernels can read them."""
    return dynamic_levels().to(device), normal_float_levels().to(device)


def on_their_way(tile: Tile, planes: Planes, itemsize: int) -> int:
    """Bytes of codes and tokens that a program's buffers hold.

    Tokens of less than four bytes a thread are read when they are wanted.
    """
    plane = planes.length * tile.batch * itemsize  # of x, a warp each
    tokens = FOUR * plane if plane >= 4 * 32 else 0
    each = 2 * planes.length * tile.rows + tokens
    return (tile.stages - 1) * tile.splits * each


def by_pairs(tile: Tile, planes: Planes, itemsize: int) -> bool:
    """Whether a program fills the table of pairs: in 16 bits, where that pays."""
    much = tile.rows * planes.cols >= PAYS
    return much and itemsize == 2 and on_their_way(tile, planes, itemsize) >= DYNAMIC


def nf4_tile(x: Float[Tensor, "m cols"], w: Nf4) -> Tile:
    """The measured tile, or one that fills every multiprocessor twice."""
    rows = w.codes.shape[1]
    measured = chosen("nf4", x, rows, w.planes.cols)
    return measured or _rule(
        len(x), rows, w.planes, multiprocessors(x), x.element_size()
    )


@cache
def _rule(m: int, rows: int, planes: Planes, crowd: int, itemsize: int) -> Tile:
    tall = 32 if rows >= 24 * crowd else 16
    batch = min(16, power_above(m))
    if tall * planes.cols < PAYS:
        splits = max(2, min(8, power_above(planes.chunks)))
        return inside(tall, batch, splits, min(3, 1 + -(-planes.chunks // splits)))
    tile = inside(tall, batch, (4 if m <= 8 else 2) * 64 // planes.length, stages=2)
    stages = 1 + -(-DYNAMIC // on_their_way(tile, planes, itemsize))
    return replace(tile, stages=stages)


def launch(
    x: Float[Tensor, "m cols"], w: Nf4, tile: Tile | None = None, *, naive: bool = False
) -> Float[Tensor, "m rows"]:
    """y by a kernel, in the dtype of x: where x lives, in the given tile."""
    require_triton(x)
    (m, k), n, planes = x.shape, w.codes.shape[1], w.planes
    tile, dtype = tile or nf4_tile(x, w), x.dtype
    x = x.contiguous().to(widened(dtype))
    y = x.new_empty(m, n)
    layout = planes.layout | {"BITS": 8 * w.constants.itemsize}
    layout["NESTED"] = w.nested_block
    nested = w.constants.dtype == torch.uint8
    dynamic, levels = tables(x.device)
    words = w.constants.view(torch.int32)
    inputs = (x, w.codes, words, w.nested, w.mean, dynamic, levels, y)
    sizes = (m, n, k, planes.chunks, planes.groups)
    if naive:
        _naive[(n, m)](*inputs, *sizes, **layout, num_warps=1)
        return y.to(dtype)
    _skinny[tile.grid(n, m)](
        *inputs,
        *sizes,
        **layout,
        SEAMLESS=planes.seamless and planes.chunks % tile.splits == 0,
        PER_ROW=nested and w.nested_block % planes.groups == 0,
        PAIRED=by_pairs(tile, planes, x.element_size()),
        SPLITS=tile.splits,
        ROWS=tile.rows,
        BATCH=tile.batch,
        STAGES=tile.stages,
        num_warps=tile.warps,
        num_stages=tile.stages,
        **in_a_row(x),
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
        w.constants,
        w.nested,
        w.mean,
        w.planes.group,
        w.nested_block,
    )
    return y.view(*x.shape[:-1], y.shape[1])


torch.library.define(
    "llm_compression::nf4_product",
    "(Tensor x, Tensor codes, Tensor constants, Tensor nested, Tensor mean, "
    "int block, int nested_block) -> Tensor",
)


def _matrix(x, codes, constants, nested, mean, block: int, nested_block: int) -> Nf4:
    planes = planes_of(x.shape[1], block)
    return Nf4(codes, constants, nested, mean, planes, nested_block)


@torch.library.impl("llm_compression::nf4_product", "CPU")
def _on_cpu(x: Tensor, *parts) -> Tensor:
    return nf4_reference(x, _matrix(x, *parts))


@torch.library.impl("llm_compression::nf4_product", "CUDA")
def _on_cuda(x: Tensor, *parts) -> Tensor:
    w = _matrix(x, *parts)
    return launch(x, w) if len(x) else x.new_empty(0, w.constants.shape[1])


@torch.library.register_fake("llm_compression::nf4_product")
def _shape_only(x: Tensor, codes: Tensor, constants: Tensor, *_) -> Tensor:
    return x.new_empty(x.shape[0], constants.shape[1])
