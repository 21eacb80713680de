"""Products of few tokens with their ends inside: 4-bit, NF4, and weights as they are.

    program (n, m): load and prefetch weights; wait; load what the end needs;
                    sum over the columns; close the tile

Sums over 4-bit codes are those of int4/ and nf4/. `dense_sum` is the same plan for
weights of 16 or 32 bits, row by row: a turn hands each of SPLITS warps CHUNK columns,
the copies of the next turns run ahead in the background. Before the wait a program
takes the weights of HELD turns into registers, and asks for those of AHEAD (tile.py).

Read in order: `dense` with `dense_prefetch` and `dense_sum`; `int4`, `nf4`.
"""

from lib.kernels.core.blocks import VARY, pdl_launch, pdl_wait, prefetch_l2
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.ends.ends_triton import close, on_the_way, rows_of, tokens_of
from lib.kernels.int4 import product_triton as _int4
from lib.kernels.nf4 import product_triton as _nf4

int4_prefetch, int4_turn, int4_sum = (
    _int4.skinny_prefetch,
    _int4.skinny_turn,
    _int4.skinny_sum,
)
nf4_prefetch, nf4_sum = _nf4.skinny_prefetch, _nf4.skinny_sum


@triton.jit
@no_type_check
def dense_prefetch(
    w, n, K,
    CHUNK: tl.constexpr,
    SPLITS: tl.constexpr,
    FIRST: tl.constexpr,  # turn
    AHEAD: tl.constexpr,  # turns, with those before it
    PDL: tl.constexpr,
):  # fmt: skip
    """Ask for the columns of some turns, a line of 128 bytes at a time."""
    LINE: tl.constexpr = 1024 // w.dtype.element_ty.primitive_bitwidth
    k = tl.arange(0, SPLITS * CHUNK // LINE)[:, None] * LINE
    for turn in tl.static_range(FIRST, AHEAD):
        at = tl.minimum(turn * SPLITS * CHUNK + k, K - 1)
        prefetch_l2(w + n[None, :].to(tl.int64) * K + at, PDL)


@triton.jit
@no_type_check
def dense_turn(w, n, k, K, SEAMLESS: tl.constexpr):
    """Rows n of W at each warp's columns k, 0 beyond the last."""
    at = w + (n.to(tl.int64) * K)[None, :, None] + k[:, None, :]
    if SEAMLESS:
        return tl.load(at)
    else:
        return tl.load(at, mask=(k < K)[:, None, :], other=0)


@triton.jit
@no_type_check
def dense_sum(
    x,  # points at rows of x, (1, batch)
    w,  # (N, K)
    n, K,
    held,  # what `dense_turn` loaded of the first HELD turns
    CHUNK: tl.constexpr,
    SEAMLESS: tl.constexpr,  # every turn is whole
    SPLITS: tl.constexpr,
    STAGES: tl.constexpr,
    HELD: tl.constexpr,
    MORE: tl.constexpr,  # turns than those
):  # fmt: skip
    """Rows n of W times the tokens that x points at: a tile of y."""
    k0 = tl.arange(0, SPLITS)[:, None] * CHUNK + tl.arange(0, CHUNK)[None, :]
    x = x[None]
    total = tl.zeros((SPLITS, n.shape[0], x.shape[2]), tl.float32)
    for turn in tl.static_range(HELD):
        k = turn * SPLITS * CHUNK + k0
        x_tile = _x_tile(x, k, K, SEAMLESS)
        total = tl.dot(held[turn], x_tile, total, input_precision="ieee")
    if MORE:
        start = HELD * SPLITS * CHUNK
        for first in tl.range(start, K, SPLITS * CHUNK, num_stages=STAGES):
            w_tile = dense_turn(w, n, first + k0, K, SEAMLESS)
            x_tile = _x_tile(x, first + k0, K, SEAMLESS)
            total = tl.dot(w_tile, x_tile, total, input_precision="ieee")
    return tl.sum(total, 0)


@triton.jit
@no_type_check
def _x_tile(x, k, K, SEAMLESS: tl.constexpr):
    """Columns k of x, 0 beyond the last."""
    if SEAMLESS:
        return tl.load(x + k[:, :, None])
    else:
        return tl.load(x + k[:, :, None], mask=(k < K)[:, :, None], other=0)


@triton.jit(do_not_specialize=("M",))
@no_type_check
def dense(
    x, w, ends,
    M, N, K,
    SEAMLESS: tl.constexpr,
    CHUNK: tl.constexpr,
    RUNS: tl.constexpr,
    END: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    AHEAD: tl.constexpr,
    HELD: tl.constexpr,
    MORE: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """W as it is, in the dtype of x."""
    pdl_launch(PDL)
    row, n, _ = rows_of(N, ROWS, END)
    token, t = tokens_of(M, BATCH)
    k0 = tl.arange(0, SPLITS)[:, None] * CHUNK + tl.arange(0, CHUNK)[None, :]
    held = ()
    for turn in tl.static_range(HELD):
        held += (dense_turn(w, n, turn * SPLITS * CHUNK + k0, K, SEAMLESS),)
    dense_prefetch(w, n, K, CHUNK, SPLITS, HELD, AHEAD, PDL)
    pdl_wait(PDL)
    loaded = on_the_way(ends, row, t, N, K, RUNS, END)
    x += t[None, :] * K
    total = dense_sum(x, w, n, K, held, CHUNK, SEAMLESS, SPLITS, STAGES, HELD, MORE)
    close(total, loaded, ends, row, token, M, N, K, END)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def int4(
    x, codes, constants, ends,
    M, N, K, chunks, groups,
    LAYOUT: tl.constexpr,
    ZERO_POINT: tl.constexpr,
    SEAMLESS: tl.constexpr,
    RUNS: tl.constexpr,
    END: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    AHEAD: tl.constexpr,
    HELD: tl.constexpr,
    MORE: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """4-bit codes on uniform grids."""
    pdl_launch(PDL)
    row, n, top = rows_of(N, ROWS, END)
    token, t = tokens_of(M, BATCH)
    held = ()
    for turn in tl.static_range(HELD):
        chunk = turn * SPLITS + tl.arange(0, SPLITS)[:, None]
        chunk = tl.minimum(chunk, chunks - 1)
        held += (int4_turn(codes, constants, n, chunk, N, LAYOUT, ZERO_POINT),)
    int4_prefetch(
        codes, constants, n, top, N, chunks,
        LAYOUT, ZERO_POINT, SPLITS, HELD, AHEAD, PDL,
    )  # fmt: skip
    pdl_wait(PDL)
    loaded = on_the_way(ends, row, t, N, K, RUNS, END)
    total = int4_sum(
        x + t[None, :] * K, codes, constants, n, N, chunks, groups, held,
        LAYOUT, ZERO_POINT, SEAMLESS, SPLITS, STAGES, HELD, MORE,
    )  # fmt: skip
    close(total, loaded, ends, row, token, M, N, K, END)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def nf4(
    x, codes, scales, levels, ends,
    M, N, K, chunks, groups,
    LAYOUT: tl.constexpr,
    KIND: tl.constexpr,
    SEAMLESS: tl.constexpr,
    PAIR_TABLE: tl.constexpr,
    RUNS: tl.constexpr,
    END: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    AHEAD: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Codes of NF4's levels, with their scales."""
    pdl_launch(PDL)
    row, n, top = rows_of(N, ROWS, END)
    token, t = tokens_of(M, BATCH)
    dynamic = nf4_prefetch(
        codes, scales, n, top, N, chunks,
        LAYOUT, KIND, PAIR_TABLE, x.dtype.element_ty, SPLITS, AHEAD, PDL,
    )  # fmt: skip
    pdl_wait(PDL)
    loaded = on_the_way(ends, row, t, N, K, RUNS, END)
    total = nf4_sum(
        x + t[None, :] * K, codes, scales, dynamic, levels, n, N, chunks, groups,
        LAYOUT, KIND, SEAMLESS, PAIR_TABLE, SPLITS, STAGES,
    )  # fmt: skip
    close(total, loaded, ends, row, token, M, N, K, END)
