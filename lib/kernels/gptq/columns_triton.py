"""The kernel of gptq/columns.py: columns rounded one after another in registers.

    q = clip(round(w_j / s) + z)    ŵ = s (q - z)    e = (w_j - ŵ) / U_jj
    w_k -= e U_jk                   for the columns k > j of the block

Rows do not meet: a program takes ROWS of them through the whole block of columns, and
holds them in registers, a thread some columns of each row. Column j is picked out of
the registers by a sum under a mask, rounded, and its error subtracted from the later
columns; the earlier ones get 0, for U is masked there. Only scales, zeros, codes and
errors leave the program. Rows beyond N and columns beyond the block are loaded as 0 and
not written.

The first column of a group fits the group's grid to the weights as they then are.
Rounding: 1.5 · 2²³ is a float32 whose neighbours are 1 apart, so that
adding it and taking it off rounds half to even; quotients are clipped first.

Read in order: `_scale_and_zero`, `round_block`.
"""

from lib.kernels.core.compiler import no_type_check, tl, triton

_ROUND = tl.constexpr(1.5 * 2**23)
_FAR = tl.constexpr(2.0**20)  # no code is there
_TINY = tl.constexpr(2.0**-126)
_LEAST = tl.constexpr(2.0**-24)  # the smallest positive fp16


@triton.jit
@no_type_check
def _nearest(v):
    """v to the nearest integer, ties to even, as far as a code may lie."""
    v = tl.minimum(tl.maximum(v, -_FAR), _FAR)
    return (v + _ROUND) - _ROUND


@triton.jit
@no_type_check
def _scale_and_zero(low, high, LEVELS: tl.constexpr, SYMMETRIC: tl.constexpr):
    """The fp16 scale of a grid over [low, high], and its zero above the lowest code."""
    if SYMMETRIC:
        zero = tl.full(low.shape, LEVELS // 2, tl.float32)
        s = tl.div_rn(tl.maximum(-low, high), zero)
    else:
        levels = tl.full(low.shape, LEVELS, tl.float32)
        s = tl.div_rn(high, levels) - tl.div_rn(low, levels)
    s = tl.where(low == high, 1.0, tl.maximum(s, _TINY))
    if not SYMMETRIC:
        zero = _nearest(tl.div_rn(-low, s))
        zero = tl.minimum(tl.maximum(zero, 0.0), LEVELS)
    s = tl.maximum(s.to(tl.float16).to(tl.float32), _LEAST)
    return s, zero


@triton.jit(do_not_specialize=("start", "length"))
@no_type_check
def round_block(
    left,  # (K, N): Wᵀ with every error of the blocks before
    factor,  # (K, K): U, upper
    codes,  # (K, N), above the lowest
    scale, zero,  # (K / GROUP, N)
    errors,  # (block, N)
    start, length,  # the block's columns
    N, K,
    GROUP: tl.constexpr,
    LEVELS: tl.constexpr,  # of a grid, less one
    SYMMETRIC: tl.constexpr,
    WIDTH: tl.constexpr,  # the power of two above a block
    ROWS: tl.constexpr,
):  # fmt: skip
    """A program rounds ROWS rows of W, `length` columns one after another."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    row_mask, k_index = row < N, tl.arange(0, WIDTH)
    left += start.to(tl.int64) * N
    codes += start.to(tl.int64) * N
    factor += start.to(tl.int64) * K + start
    mask = (k_index < length)[:, None] & row_mask[None, :]
    w = tl.load(left + k_index[:, None] * N + row[None, :], mask=mask, other=0)
    s, z = tl.full((ROWS,), 1.0, tl.float32), tl.zeros((ROWS,), tl.float32)
    for j in range(0, length):
        if j % GROUP == 0:
            group = ((k_index >= j) & (k_index < j + GROUP))[:, None]
            low = tl.min(tl.where(group, w, 0.0), 0)
            high = tl.max(tl.where(group, w, 0.0), 0)
            s, z = _scale_and_zero(low, high, LEVELS, SYMMETRIC)
            offset = (start + j) // GROUP * N + row
            tl.store(scale + offset, s, mask=row_mask)
            tl.store(zero + offset, z, mask=row_mask)
        column = tl.sum(tl.where((k_index == j)[:, None], w, 0.0), 0)
        q = _nearest(tl.div_rn(column, s)) + z
        q = tl.minimum(tl.maximum(q, 0.0), LEVELS)
        pivot = tl.full((ROWS,), tl.load(factor + j), tl.float32)
        error = tl.div_rn(column - s * (q - z), pivot)
        later = (k_index > j) & (k_index < length)
        u = tl.load(factor + k_index, mask=later, other=0)
        w -= u[:, None] * error[None, :]
        tl.store(codes + row, q.to(tl.uint8), mask=row_mask)
        tl.store(errors + row, error, mask=row_mask)
        factor, codes, errors = factor + K, codes + N, errors + N
