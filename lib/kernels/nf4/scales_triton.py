"""What NF4's scales are made of, and how a kernel reads those of a tile.

    c = d[r] c₂ + μ

With double quantization a block's scale is a code r into 256 levels d, times the scale
c₂ of its nested block, plus the mean μ: one of the matrix, or of a matrix that was
joined from several (ends/matrices.py) one a row.

Read in order: `Scales`, `ScaleKind`; `load_mean`, `load_scales`, `block_scale`.
"""

from typing import Any, NamedTuple

from lib.kernels.core.blocks import constant, load_constants
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.nf4.assembly import level_text

_LEVEL = tl.constexpr(level_text())


class Scales(NamedTuple):
    """Pointers to what the blocks' scales are made of; a kernel takes them as one."""

    per_block: Any  # (chunks, N, words): float32, or bytes with double quantization
    nested: Any  # c₂ of every NESTED blocks, row by row
    mean: Any  # μ, or one for each row
    dynamic: Any  # the 256 levels d of 8-bit scales


class ScaleKind(NamedTuple):
    """What a kernel has to know of scales when it is compiled: one constexpr."""

    BITS: int  # of a stored scale: 8 with double quantization, else 32
    NESTED: int  # blocks that share a c₂
    PER_ROW: bool  # all blocks of a row share a c₂
    MEANS: bool = False  # a μ for each row


@triton.jit
@no_type_check
def load_mean(scales, n, KIND: tl.constexpr):
    """μ of rows n."""
    if KIND.MEANS:
        return tl.load(scales.mean + n)
    else:
        return tl.load(scales.mean)


@triton.jit
@no_type_check
def block_scale(code, nested, mean, dynamic):
    """d[r] c₂ + μ for the lowest byte r of `code`.

    `dynamic` points at the levels d in device memory, or is their address in shared
    memory. With two roundings, as lib.quant, if no launch fuses them.
    """
    if dynamic.dtype.is_ptr():
        d = tl.load(dynamic + (code & 255))
    else:
        d = tl.inline_asm_elementwise(
            _LEVEL, "=r,r,r", [code, dynamic], tl.float32, True, 1
        )
    return d * nested + mean


@triton.jit
@no_type_check
def _load_nested(
    nested, c, n, groups,
    P: tl.constexpr,
    NESTED: tl.constexpr,
    SEAMLESS: tl.constexpr,
):  # fmt: skip
    """c₂ of each plane of a chunk; loaded once, where all four have the same."""
    first, last = n * groups, groups - 1
    c0 = tl.load(nested + (first + tl.minimum(4 * c // P, last)) // NESTED)
    c1, c2, c3 = c0, c0, c0
    if not (SEAMLESS and NESTED % 4 == 0):
        c1 = tl.load(nested + (first + tl.minimum((4 * c + 1) // P, last)) // NESTED)
        c2 = tl.load(nested + (first + tl.minimum((4 * c + 2) // P, last)) // NESTED)
        c3 = tl.load(nested + (first + tl.minimum((4 * c + 3) // P, last)) // NESTED)
    return c0, c1, c2, c3


@triton.jit
@no_type_check
def load_scales(
    scales, dynamic, of_row, mean,
    c, n, N, groups,
    LAYOUT: tl.constexpr,
    KIND: tl.constexpr,
    SEAMLESS: tl.constexpr,
):  # fmt: skip
    """The scales of rows n for the four planes of chunk c; `of_row` is a row's c₂."""
    words = load_constants(scales.per_block, c, n, N, LAYOUT.Q, KIND.BITS)
    w0 = constant(words, 0, LAYOUT.Q, KIND.BITS)
    w1 = constant(words, 1, LAYOUT.Q, KIND.BITS)
    w2 = constant(words, 2, LAYOUT.Q, KIND.BITS)
    w3 = constant(words, 3, LAYOUT.Q, KIND.BITS)
    if KIND.BITS == 8:
        c2 = of_row, of_row, of_row, of_row
        if not KIND.PER_ROW:
            c2 = _load_nested(
                scales.nested, c, n, groups, LAYOUT.P, KIND.NESTED, SEAMLESS
            )
        return (
            block_scale(w0, c2[0], mean, dynamic),
            block_scale(w1, c2[1], mean, dynamic),
            block_scale(w2, c2[2], mean, dynamic),
            block_scale(w3, c2[3], mean, dynamic),
        )
    else:
        return (
            w0.to(tl.float32, bitcast=True),
            w1.to(tl.float32, bitcast=True),
            w2.to(tl.float32, bitcast=True),
            w3.to(tl.float32, bitcast=True),
        )
