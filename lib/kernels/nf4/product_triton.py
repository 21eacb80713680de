"""The kernels of nf4/product.py: the product of int4/product_triton.py with levels.

    y[m, n] = Σ_b c[b, n] Σ_{k in b} l(q[n, k]) x[m, k],     c = d[r] c₂ + μ

A program makes a tile of y as int4's `skinny` does. What differs is what a code and a
scale stand for. A code names one of sixteen levels: in 16 bits a thread looks two of
them up at once, in a table in shared memory that the program fills at first, or, where
the program has too few weights for that to pay, by shuffles in its warp
(nf4/assembly.py). With double quantization a block's scale is itself a code r into 256
levels d, times the scale c₂ of its nested block, plus the mean μ.

Codes lie in pairs (core/planes.py): a byte has two neighbouring columns of one plane.

Read in order: `skinny`, whose parts ends/ calls as well; `_fill_tables`,
`code_at`, `_decode`. The assembly is in nf4/assembly.py, the scales in
nf4/scales_triton.py.
"""

import torch

from lib.kernels.core.blocks import (
    VARY,
    add_planes,
    load_constant,
    load_x_tile,
    pdl_wait,
    prefetch_l2,
    rows_and_tokens,
    store,
)
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.nf4.assembly import (
    LEVELS_BYTES,
    PAIRS,
    PAIRS_BYTES,
    pair_text,
    pairs_text,
    table_text,
    words_text,
)
from lib.kernels.nf4.scales_triton import block_scale, load_mean, load_scales

_WORDS_F16 = tl.constexpr(words_text(torch.float16))
_WORDS_BF16 = tl.constexpr(words_text(torch.bfloat16))
_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,r")
_PAIRS = tl.constexpr(pairs_text())
_PAIR_F16 = tl.constexpr(pair_text(torch.float16))
_PAIR_BF16 = tl.constexpr(pair_text(torch.bfloat16))
_TABLE_OF_PAIRS = tl.constexpr(table_text(PAIRS, PAIRS_BYTES))
_TABLE_OF_LEVELS = tl.constexpr(table_text("nf4_levels", LEVELS_BYTES))


@triton.jit
@no_type_check
def _fill_tables(dynamic, DTYPE: tl.constexpr):
    """Fill two tables in shared memory; return the address of the second.

    The first has 256 pairs of levels in DTYPE, 32 copies side by side, one a bank; the
    second the 256 levels of 8-bit scales, once. All threads of a program write a part,
    and none goes on before all have. A lookup may not come before that: it does not,
    for it needs codes that are loaded later (tests/kernels/test_compiled.py).
    """
    pairs = tl.inline_asm_elementwise(_TABLE_OF_PAIRS, "=r", [], tl.int32, False, 1)
    byte, copies = tl.arange(0, 256)[:, None], 16 * tl.arange(0, 8)[None, :]
    TEXT: tl.constexpr = _PAIR_F16 if tl.float16 == DTYPE else _PAIR_BF16
    tl.inline_asm_elementwise(
        TEXT, "=r,r,r", [pairs + 128 * byte + copies, byte], tl.int32, False, 1
    )
    levels = tl.inline_asm_elementwise(_TABLE_OF_LEVELS, "=r", [], tl.int32, False, 1)
    tl.inline_asm_elementwise(
        "st.shared.b32 [$1], $2; mov.u32 $0, 0;",
        "=r,r,r",
        [levels + 4 * tl.arange(0, 256), dynamic],
        tl.int32,
        False,
        1,
    )
    tl.debug_barrier()
    return levels


@triton.jit
@no_type_check
def code_at(row, j, i):
    """The code at index i of plane j; `row` points at a chunk's words of the row."""
    pairs = tl.load(row + (i // 2 * 2 + j // 2)).to(tl.int32)
    return (pairs >> (j % 2 * 8 + i % 2 * 4)) & 15


@triton.jit
@no_type_check
def _decode(row, i, levels, DTYPE: tl.constexpr, PAIR_TABLE: tl.constexpr):
    """The levels of four planes: in 16 bits by assembly, in float32 from memory."""
    words = tl.load(row + i)
    if PAIR_TABLE and tl.float16 == DTYPE:
        return tl.inline_asm_elementwise(
            _PAIRS, _OPERANDS, [words], (tl.float16,) * 4, True, 2
        )
    elif PAIR_TABLE:
        return tl.inline_asm_elementwise(
            _PAIRS, _OPERANDS, [words], (tl.bfloat16,) * 4, True, 2
        )
    elif tl.float16 == DTYPE:
        return tl.inline_asm_elementwise(
            _WORDS_F16, _OPERANDS, [words], (tl.float16,) * 4, True, 2
        )
    elif tl.bfloat16 == DTYPE:
        return tl.inline_asm_elementwise(
            _WORDS_BF16, _OPERANDS, [words], (tl.bfloat16,) * 4, True, 2
        )
    else:
        return (
            tl.load(levels + code_at(row, 0, i)),
            tl.load(levels + code_at(row, 1, i)),
            tl.load(levels + code_at(row, 2, i)),
            tl.load(levels + code_at(row, 3, i)),
        )


@triton.jit(do_not_specialize=VARY)
@no_type_check
def naive(
    x,  # (M, K)
    codes,  # (chunks, N, L)
    scales,  # `Scales`
    levels,  # 16
    y,  # (M, N)
    M, N, K, chunks, groups,
    LAYOUT: tl.constexpr,
    KIND: tl.constexpr,  # `ScaleKind`
):  # fmt: skip
    """Program (n, m) makes y[m, n], plane by plane, with levels from device memory."""
    n, m = tl.program_id(0), tl.program_id(1).to(tl.int64)
    i = tl.arange(0, LAYOUT.L)
    mu = load_mean(scales, n, KIND)
    total = 0.0
    for plane in range(4 * chunks):
        row = codes + (plane // 4 * N + n) * LAYOUT.L
        level = tl.load(levels + code_at(row, plane % 4, i))
        bits = load_constant(scales.per_block, plane, n, N, LAYOUT.Q, KIND.BITS)
        if KIND.BITS == 8:
            block = n * groups + tl.minimum(plane // LAYOUT.P, groups - 1)
            nested = tl.load(scales.nested + block // KIND.NESTED)
            c = block_scale(bits, nested, mu, scales.dynamic)
        else:
            c = bits.to(tl.float32, bitcast=True)
        x_tile = load_x_tile(x + m * K, plane, i, groups, LAYOUT, False)
        total += c * tl.sum(level * x_tile.to(tl.float32), 0)
    tl.store(y + m * N + n, total.to(y.dtype.element_ty))


@triton.jit
@no_type_check
def skinny_prefetch(
    codes, scales, n, top, N, chunks,
    LAYOUT: tl.constexpr,
    KIND: tl.constexpr,
    PAIR_TABLE: tl.constexpr,  # in shared memory, with the 256 levels beside it
    DTYPE: tl.constexpr,
    SPLITS: tl.constexpr,
    AHEAD: tl.constexpr,  # turns
    PDL: tl.constexpr,
):  # fmt: skip
    """Ask for the first chunks of rows n; where the 256 levels are.

    The tables are filled before `pdl_wait`: they depend on no other kernel.
    """
    c = tl.arange(0, SPLITS)[:, None]
    dynamic = scales.dynamic
    if PAIR_TABLE:
        d = tl.load(scales.dynamic + tl.arange(0, 256))  # on its way meanwhile
    WORDS: tl.constexpr = (LAYOUT.Q * KIND.BITS + 31) // 32
    for turn in tl.static_range(AHEAD):
        chunk = tl.minimum(turn * SPLITS + c, chunks - 1)
        prefetch_l2(codes + (chunk * N + n[None, :]) * LAYOUT.L, PDL)
        prefetch_l2(scales.per_block + (chunk * N + top) * WORDS, PDL)
    if PAIR_TABLE:
        dynamic = _fill_tables(d, DTYPE)
    return dynamic


@triton.jit
@no_type_check
def skinny_sum(
    x, codes, scales, dynamic, levels, n, N, chunks, groups,
    LAYOUT: tl.constexpr,
    KIND: tl.constexpr,
    SEAMLESS: tl.constexpr,
    PAIR_TABLE: tl.constexpr,
    SPLITS: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """A tile of y, as int4's `skinny_sum` makes it."""
    n, x, i = n[None, :], x[None], tl.arange(0, LAYOUT.L)
    c = tl.arange(0, SPLITS)[:, None]  # a chunk a warp
    total = tl.zeros((SPLITS, n.shape[1], x.shape[2]), tl.float32)
    mu, of_row = load_mean(scales, n, KIND), 0.0
    if KIND.PER_ROW:
        of_row = tl.load(scales.nested + n * groups // KIND.NESTED)
    for first in tl.range(0, chunks, SPLITS, num_stages=STAGES):
        chunk = tl.minimum(first + c, chunks - 1)
        s = load_scales(
            scales, dynamic, of_row, mu, chunk, n, N, groups, LAYOUT, KIND, SEAMLESS
        )
        row = codes + (chunk * N + n)[:, :, None] * LAYOUT.L
        q = _decode(row, i, levels, x.dtype.element_ty, PAIR_TABLE)
        plane, k_index = 4 * (first + c)[:, :, None], i[:, None]
        total = add_planes(total, q, s, x, plane, k_index, groups, LAYOUT, SEAMLESS)
    return tl.sum(total, 0)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def skinny(
    x, codes, scales, levels, y,
    M, N, K, chunks, groups,
    LAYOUT: tl.constexpr,
    KIND: tl.constexpr,
    SEAMLESS: tl.constexpr,
    PAIR_TABLE: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Program (n, m) makes a tile of y from all chunks, a warp from its own."""
    row, token, n, x = rows_and_tokens(x, M, N, K, ROWS, BATCH)
    top = tl.program_id(0) * ROWS
    dynamic = skinny_prefetch(
        codes, scales, n, top, N, chunks,
        LAYOUT, KIND, PAIR_TABLE, x.dtype.element_ty, SPLITS, STAGES, PDL,
    )  # fmt: skip
    pdl_wait(PDL)
    total = skinny_sum(
        x, codes, scales, dynamic, levels, n, N, chunks, groups,
        LAYOUT, KIND, SEAMLESS, PAIR_TABLE, SPLITS, STAGES,
    )  # fmt: skip
    store(y, total, row, token, M, N)
