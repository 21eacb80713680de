"""The kernels of hessian/gram.py: XᵀX in square tiles of its lower half, mirrored.

    program p = i (i + 1) / 2 + j  makes tile (i, j),  j <= i

A program of `gram` owns one tile of SIZE x SIZE numbers of H, for the tokens of one
split: it reads TOKENS tokens a turn, of the tile's columns i and of its columns j, and
adds their products on the matrix unit. Without splits it updates its tile and the
tile's mirror image in H, which nobody else touches. With splits it writes its sum into
`parts`, and `finish` has one program a tile that adds the splits in their order. Where
columns or tokens end inside a tile both operands read 0, and H is written under a mask.

Both operands of a tile are columns of X, as X lies in memory: the matrix unit reads
one of them turned. A number below the diagonal is written twice, and of a tile on it
one half is used, so that H is symmetric bit for bit.

Read in order: `_tile`, `naive`, `gram`, `_update`; `finish`.
"""

from lib.kernels.core.compiler import no_type_check, tl, triton

VARY = ("T", "turns")


@triton.jit
@no_type_check
def _tile(p):
    """Row i and column j of the p-th tile on or below the diagonal, row by row.

    i is the largest integer with i (i + 1) / 2 <= p. The root of float32 may miss it by
    one for large p; the two corrections compare integers.
    """
    i = ((tl.sqrt(8.0 * p + 1.0) - 1.0) * 0.5).to(tl.int32)
    i = tl.where(i * (i + 1) // 2 > p, i - 1, i)
    i = tl.where((i + 1) * (i + 2) // 2 <= p, i + 1, i)
    return i, p - i * (i + 1) // 2


@triton.jit
@no_type_check
def _update(h, total, i, j, K, keep, gain, SIZE: tl.constexpr):
    """H ← keep H + gain · total at tile (i, j), and its mirror image.

    Of a tile on the diagonal the lower half is taken, for both halves.
    """
    across = tl.arange(0, SIZE)
    row, col = (i * SIZE + across)[:, None], (j * SIZE + across)[None, :]
    mask = (row < K) & (col < K)
    at = h + row.to(tl.int64) * K + col
    old = tl.load(at, mask=mask & (keep != 0), other=0)  # 0 · NaN is not 0
    new = keep * old + gain * total
    if i == j:
        tl.store(at, tl.where(col <= row, new, tl.trans(new)), mask=mask)
    else:
        tl.store(at, new, mask=mask)
        tl.store(h + col.to(tl.int64) * K + row, new, mask=mask)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def naive(h, x, T, K, keep, gain, BLOCK: tl.constexpr):
    """A program makes one number of H and its mirror image, BLOCK tokens at a time."""
    i, j = _tile(tl.program_id(0))
    total = 0.0
    for first in range(0, T, BLOCK):
        t = first + tl.arange(0, BLOCK)
        x_i = tl.load(x + t.to(tl.int64) * K + i, mask=t < T, other=0)
        x_j = tl.load(x + t.to(tl.int64) * K + j, mask=t < T, other=0)
        total += tl.sum(x_i.to(tl.float32) * x_j.to(tl.float32), 0)
    old = tl.load(h + i.to(tl.int64) * K + j, mask=keep != 0, other=0)
    new = keep * old + gain * total
    tl.store(h + i.to(tl.int64) * K + j, new)
    tl.store(h + j.to(tl.int64) * K + i, new)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def gram(
    h,  # (K, K)
    x,  # (T, K)
    parts,  # (splits, tiles, SIZE, SIZE), if the sums go there
    T, K, keep, gain,
    turns,  # of a program
    PRECISION: tl.constexpr,  # of float32 products
    TO_PARTS: tl.constexpr,
    SIZE: tl.constexpr,
    TOKENS: tl.constexpr,  # a turn
    STAGES: tl.constexpr,
):  # fmt: skip
    """Program (p, split) sums tile p over the tokens of one split."""
    p, split = tl.program_id(0), tl.program_id(1)
    i, j = _tile(p)
    across, t = tl.arange(0, SIZE), split * turns * TOKENS + tl.arange(0, TOKENS)
    left, right = i * SIZE + across[None, :], j * SIZE + across[None, :]
    x += t.to(tl.int64)[:, None] * K
    stride = tl.full((), TOKENS, tl.int64) * K
    total = tl.zeros((SIZE, SIZE), tl.float32)
    for _ in tl.range(0, turns, num_stages=STAGES):
        mask = (t < T)[:, None]
        a = tl.load(x + left, mask=mask & (left < K), other=0)
        b = tl.load(x + right, mask=mask & (right < K), other=0)
        total = tl.dot(tl.trans(a), b, total, input_precision=PRECISION)
        x, t = x + stride, t + TOKENS
    if TO_PARTS:
        offset = across[:, None] * SIZE + across[None, :]
        parts += (split * tl.num_programs(0) + p).to(tl.int64) * (SIZE * SIZE)
        tl.store(parts + offset, total)
    else:
        _update(h, total, i, j, K, keep, gain, SIZE)


@triton.jit
@no_type_check
def finish(h, parts, K, keep, gain, SPLITS: tl.constexpr, SIZE: tl.constexpr):
    """Program p updates tile p of H by its parts, added in the order of the splits."""
    p, across = tl.program_id(0), tl.arange(0, SIZE)
    i, j = _tile(p)
    parts += p.to(tl.int64) * (SIZE * SIZE) + across[:, None] * SIZE + across[None, :]
    total = tl.zeros((SIZE, SIZE), tl.float32)
    for _ in tl.static_range(SPLITS):
        total += tl.load(parts)
        parts += tl.num_programs(0).to(tl.int64) * (SIZE * SIZE)
    _update(h, total, i, j, K, keep, gain, SIZE)
