"""y = x Ŵᵀ for 4-bit Ŵ, decoded on the way, so that Ŵ never reaches device memory.

    y[m, n] = Σ_g s[g, n] Σ_{k in g} (q[n, k] - z[g, n]) x[m, k]

Bytes: N K / 2 of codes, 2 N K / G of fp16 scales (4 N K / G with zero points), 2 M K of
x, 2 M N of y. At G = 128 a weight takes 0.516 bytes (0.531): fp16's 2 bytes cost at
most 3.88 times as much, and for few tokens time is bytes.

q - z is exact in 11 bits and in bf16's 8; products are summed in float32 by the matrix
unit, and the scale multiplies each group's float32 sum. So for n terms the error is
that of a float32 sum, n 2⁻²⁴ Σ |s (q - z) x|, and one rounding to the dtype of x.

Read in order: `Int4`, `int4_reference`, the kernels in product_triton.py, `launch`,
`int4_product`. Taught in notebooks/16.
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Float16, Int16, Int32, UInt8
from torch import Tensor

from lib.kernels.core.blocks import summed
from lib.kernels.core.compiler import pdl_options, require_triton, widened
from lib.kernels.core.entry import checked_activations
from lib.kernels.core.planes import (
    CODE_BITS,
    PLANES_PER_WORD,
    Planes,
    pack_constants,
    pack_planes,
    planes_of,
    unpack_constants,
    unpack_planes,
)
from lib.kernels.core.tiles import Tile, fitted, inside, look_up, num_sms, power_above
from lib.kernels.int4.product_triton import naive as _naive
from lib.kernels.int4.product_triton import skinny as _skinny
from lib.kernels.int4.product_triton import wide as _wide
from lib.quant.uniform.grouped import Grouped

MIDDLE = 8  # what a symmetric code is stored above
SKINNY = 16  # up to so many tokens one program sums all columns
BUFFERS = 220 << 10  # bytes on their way to a multiprocessor's programs
ALIGNMENT = 2 << 10  # bytes between buffers, and for sums


@dataclass(frozen=True, eq=False)
class Int4:
    """A matrix in the kernels' layout.

    `constants` are fp16 scales of a symmetric matrix, whose zero point is 8, or int32
    with the scale in the lower half and the zero point in the upper one.
    """

    codes: Int16[Tensor, "chunks rows length"]
    constants: Float16[Tensor, "chunks rows two"] | Int32[Tensor, "chunks rows words"]
    planes: Planes

    @property
    def nbytes(self) -> int:
        """Bytes of codes and constants."""
        return self.codes.nbytes + self.constants.nbytes

    def to(self, device: torch.device | str) -> "Int4":
        """The same matrix elsewhere."""
        return Int4(self.codes.to(device), self.constants.to(device), self.planes)

    def unpacked(self) -> UInt8[Tensor, "rows cols"]:
        """The codes 0 … 15 in their columns."""
        return unpack_planes(self.codes, self.planes)

    def grid(self) -> tuple[Float16[Tensor, "rows groups"], Int32[Tensor, "r groups"]]:
        """Scales and zero points, as the codes 0 … 15 know them."""
        constants = unpack_constants(self.constants, self.planes).T
        if constants.dtype == torch.float16:
            return constants, torch.full_like(constants[:1], MIDDLE, dtype=torch.int32)
        scale = (constants & 0xFFFF).to(torch.int16).view(torch.float16)
        return scale, constants >> 16


def pack_int4(grouped: Grouped) -> Int4:
    """The kernels' layout of a matrix of at most 4 bits, with columns in their order.

    ValueError for more bits, grids shared by rows, an act-order, scales outside fp16,
    or so many codes that offsets exceed 32 bits.
    """
    grid, (rows, cols) = grouped.grid, grouped.codes.shape
    if grid.bits > CODE_BITS or grid.low < -MIDDLE:
        raise ValueError(f"codes {grid.low} to {grid.high} do not fit 4 bits")
    if grouped.order is not None:
        raise ValueError("columns cut in another order have no groups side by side")
    if len(grid.scale) != rows:
        raise ValueError(f"one grid for {rows} rows: expand it to a grid a row")
    scale = grid.scale.half()
    if not scale.isfinite().all():
        raise ValueError(f"a scale of {grid.scale.max().item():.3g} exceeds fp16")
    by = MIDDLE if grid.low < 0 else 0
    codes = (grouped.codes.to(torch.int16) + by).to(torch.uint8)
    constants, planes = scale.T.contiguous(), planes_of(cols, cols // scale.shape[1])
    if grid.low >= 0 or grid.zero.any():
        low = constants.view(torch.int16).to(torch.int32) & 0xFFFF
        zero = (grid.zero.T.to(torch.int32) + by).contiguous()
        constants = zero << 16 | low
    return Int4(pack_planes(codes, planes), pack_constants(constants, planes), planes)


def int4_reference(
    x: Float[Tensor, "m cols"], w: Int4, *, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "m rows"]:
    """The equation, in `dtype`; y in the dtype of x."""
    scale, zero = w.grid()
    codes = w.unpacked().to(torch.int32)
    levels = codes.unflatten(1, (w.planes.groups, -1)) - zero[..., None]
    weight = (levels * scale[..., None].to(dtype)).flatten(1)
    return (x.to(dtype) @ weight.T).to(x.dtype)


def _has_zero_points(w: Int4) -> bool:
    return w.constants.dtype == torch.int32


def int4_tile(x: Float[Tensor, "m cols"], w: Int4) -> Tile:
    """The measured tile, or one that fills every multiprocessor twice; it fits."""
    rows, operation = w.codes.shape[1], "int4"
    if _has_zero_points(w):
        operation = "int4_zeros"
    size = x.element_size()
    measured = look_up(operation, x, rows, w.planes.cols)
    if measured and size == 2:  # as it was measured
        return measured
    tile = measured or _rule(len(x), rows, w.planes, num_sms(x), size)
    return fitting(tile, w.planes, size)


def shared_bytes(tile: Tile, planes: Planes, itemsize: int) -> int:
    """Shared memory of a program, in bytes; a compiler takes no more.

    Codes, constants and x of the chunks that are on their way. The unit reads x of a
    `wide` program from there, in 16 bits; in float32 the decoded weights.
    """
    columns, ahead = PLANES_PER_WORD * planes.length, max(1, tile.stages - 1)
    codes, x = (
        columns * tile.rows // 2 + 16 * tile.rows,
        columns * itemsize * tile.batch,
    )
    decoded = 4 * columns * tile.rows if itemsize == 4 else 0
    read = 0 if tile.inside or itemsize == 4 else x
    warps = tile.splits if tile.inside else 1  # each has a chunk of its own
    return warps * (ahead * (codes + x) + decoded + read) + ALIGNMENT


@cache
def fitting(tile: Tile, planes: Planes, itemsize: int) -> Tile:
    """`tile`, or the nearest below it that fits: it was measured with 16-bit x."""
    return fitted(tile, lambda smaller: shared_bytes(smaller, planes, itemsize))


@cache
def _rule(m: int, rows: int, planes: Planes, num_sms: int, itemsize: int) -> Tile:
    if m <= SKINNY:
        tall, splits = (32, 4) if rows >= 24 * num_sms else (16, 8)
        splits = max(2, min(splits, power_above(planes.chunks)))
        batch = max(2, power_above(m))
        buffer = (
            splits * planes.length * (2 * tall + PLANES_PER_WORD * itemsize * batch)
        )
        beside = max(2, min(4, -(-rows // (tall * num_sms))))  # all at once, if four do
        turns = -(-planes.chunks // splits)
        ahead = max(1, min(4, turns, BUFFERS // (beside * buffer)))
        return inside(tall, batch, splits, 1 + ahead)
    if m <= 256:
        programs = -(-rows // 64) * -(-m // 64)
        splits = max(1, min(4, planes.chunks // 4, 2 * num_sms // programs))
        return Tile(64, min(64, power_above(m)), splits, warps=4, stages=3)
    return Tile(128, 128, warps=8, stages=2)


def launch(
    x: Float[Tensor, "m cols"],
    w: Int4,
    tile: Tile | None = None,
    *,
    naive: bool = False,
) -> Float[Tensor, "m rows"]:
    """y by a kernel, in the dtype of x: where x lives, in the given tile.

    ImportError without Triton; ValueError where no kernel reaches x.
    """
    require_triton(x)
    (m, k), n, planes = x.shape, w.codes.shape[1], w.planes
    tile, dtype = tile or int4_tile(x, w), x.dtype
    x = x.contiguous().to(widened(dtype))
    sizes = (m, n, k, planes.chunks, planes.groups)
    layout = {"LAYOUT": planes.layout, "ZERO_POINT": _has_zero_points(w)}
    matrix = (x, w.codes, w.constants.view(torch.int32))
    if naive:
        y = x.new_empty(m, n)
        _naive[(n, m)](*matrix, y, *sizes, **layout, num_warps=1)
        return y.to(dtype)
    grid = tile.grid(n, m)
    block = {"ROWS": tile.rows, "BATCH": tile.batch, "STAGES": tile.stages}
    block |= layout | {"num_warps": tile.warps, "num_stages": tile.stages}
    split = tile.splits > 1 and not tile.inside
    block |= pdl_options(x, followed=split)
    if tile.inside:
        y = x.new_empty(m, n)
        seamless = planes.seamless and planes.chunks % tile.splits == 0
        _skinny[grid](
            *matrix, y, *sizes, SEAMLESS=seamless, SPLITS=tile.splits, **block
        )
        return y.to(dtype)
    shape = (tile.splits, m, n) if split else (m, n)
    y = x.new_empty(shape, dtype=torch.float32 if split else x.dtype)
    each = -(-planes.chunks // tile.splits)
    _wide[(*grid, tile.splits)](
        *matrix, y, *sizes, each, SEAMLESS=planes.seamless, **block
    )
    return (summed(y, x.dtype) if split else y).to(dtype)


def int4_product(
    x: Float[Tensor, "*batch cols"], w: Int4
) -> Float[Tensor, "*batch rows"]:
    """y = x Ŵᵀ in the dtype of x: on a GPU the fast kernel, on a CPU the reference.

    ValueError for another dtype than fp16, bf16 or float32, other columns, another
    device, or where a gradient is wanted: these kernels only infer.
    """
    flat = checked_activations(x, w.planes.cols, w.codes.device)
    y = torch.ops.llm_compression.int4_product(
        flat, w.codes, w.constants, w.planes.group
    )
    return y.view(*x.shape[:-1], y.shape[1])


torch.library.define(
    "llm_compression::int4_product",
    "(Tensor x, Tensor codes, Tensor constants, int group) -> Tensor",
)


@torch.library.impl("llm_compression::int4_product", "CPU")
def _on_cpu(x: Tensor, codes: Tensor, constants: Tensor, group: int) -> Tensor:
    return int4_reference(x, Int4(codes, constants, planes_of(x.shape[1], group)))


def _on_cuda(x: Tensor, codes: Tensor, constants: Tensor, group: int) -> Tensor:
    if not len(x):
        return x.new_empty(0, constants.shape[1])
    return launch(x, Int4(codes, constants, planes_of(x.shape[1], group)))


torch.library.impl("llm_compression::int4_product", "CUDA", _on_cuda)


@torch.library.register_fake("llm_compression::int4_product")
def _shape_only(x: Tensor, codes: Tensor, constants: Tensor, group: int) -> Tensor:
    return x.new_empty(x.shape[0], constants.shape[1])
