"""The kernel of gptq/sparse.py: columns kept or dropped one after another in registers.

    ŵ_j = w_j where kept, else 0    e = (w_j - ŵ_j) / U_jj
    w_k -= e U_jk                   for the columns k > j of the block

As in columns_triton.py a program takes ROWS rows through a block of columns. For N of M
it chooses when the first of M columns comes up: N times the best |w_k| / U_kk that is
not taken yet, of equals the earliest. Else the block's mask is given.

Read in order: `n_best`, `prune_block`.
"""

from lib.kernels.core.compiler import no_type_check, tl, triton

_NONE = tl.constexpr(-1.0)  # below every score


@triton.jit
@no_type_check
def n_best(score, k_index, N: tl.constexpr):
    """Where each row's N best scores are, of equals the earliest; those below 0 never.

    score (columns, rows), k_index (columns); 1 where a column is taken.
    """
    taken = tl.zeros(score.shape, tl.int32)
    column = k_index[:, None]
    for _ in tl.static_range(N):
        best = tl.max(score, 0)[None, :]
        first = tl.min(tl.where(score == best, column, 1 << 30), 0)[None, :]
        taken = tl.where(column == first, 1, taken)
        score = tl.where(column == first, _NONE, score)
    return taken


@triton.jit(do_not_specialize=("start", "length"))
@no_type_check
def prune_block(
    left,  # (K, rows): Wᵀ with every error of the blocks before, and then Ŵᵀ
    factor,  # (K, K): U, upper
    kept,  # (K, rows): 1 where a weight stays; given where M is 0
    errors,  # (block, rows)
    start, length,  # the block's columns
    rows, K,
    N: tl.constexpr,
    M: tl.constexpr,  # N of every M stay; 0 where the mask is given
    WIDTH: tl.constexpr,  # the power of two above a block
    ROWS: tl.constexpr,
):  # fmt: skip
    """A program takes ROWS rows of W through `length` columns, one after another."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    row_mask, k_index = row < rows, tl.arange(0, WIDTH)
    left += start.to(tl.int64) * rows
    kept += start.to(tl.int64) * rows
    factor += start.to(tl.int64) * K + start
    inside = k_index < length
    mask = inside[:, None] & row_mask[None, :]
    tile = k_index[:, None] * rows + row[None, :]
    w = tl.load(left + tile, mask=mask, other=0)
    pivots = tl.load(factor + k_index.to(tl.int64) * (K + 1), mask=inside, other=1)
    if M == 0:
        stays = tl.load(kept + tile, mask=mask, other=0).to(tl.int32)
    else:
        stays = tl.zeros((WIDTH, ROWS), tl.int32)
    for j in range(0, length):
        if M > 0:  # noqa: SIM102 (known when compiled; j is not)
            if j % M == 0:
                run = ((k_index >= j) & (k_index < j + M))[:, None]
                score = tl.abs(tl.div_rn(w, pivots[:, None] + tl.zeros_like(w)))
                score = tl.where(run, score, _NONE)
                stays = tl.where(run, n_best(score, k_index, N), stays)
        here = (k_index == j)[:, None]
        column = tl.sum(tl.where(here, w, 0.0), 0)
        keep = tl.sum(tl.where(here, stays, 0), 0)
        pivot = tl.full((ROWS,), tl.load(factor + j), tl.float32)
        error = tl.div_rn(tl.where(keep != 0, 0.0, column), pivot)
        later = (k_index > j) & inside
        u = tl.load(factor + k_index, mask=later, other=0)
        w -= u[:, None] * error[None, :]
        w = tl.where(here, tl.where(keep != 0, column, 0.0)[None, :], w)
        tl.store(errors + row, error, mask=row_mask)
        factor, errors = factor + K, errors + rows
    tl.store(left + tile, w, mask=mask)
    if M > 0:
        tl.store(kept + tile, stays.to(tl.uint8), mask=mask)
