"""Viterbi for one row: 2^L costs in registers, T times over.

    cost(low, new) = before(low) + v² − 2 w v      state s = low · 2^k + new
    seen as (high, low'), s = high · 2^(L−k) + low':  before(low') = min over high

A step is a few operations on 2^L numbers, and no more memory than the byte that says
which of the 2^k it was, for each of the 2^(L−k) low parts: T 2^(L−k) bytes a row. On
the way back one thread reads one of them a step.

Read in order: `search`.  The equation: lib/quant/trellis/viterbi.py.
"""

from lib.kernels.core.compiler import no_type_check, tl, triton


@triton.jit
@no_type_check
def search(
    w,  # (rows, T) float32
    values,  # (2^L)
    overlap,  # (rows) int64, or nothing
    pointers,  # (rows, T − 1, 2^(L−k)) uint8
    path,  # (rows, T) int64
    T,
    RING: tl.constexpr,
    KEPT: tl.constexpr,  # 2^(L−k)
    BRANCHES: tl.constexpr,  # 2^k
):
    """One row a program."""
    row = tl.program_id(0).to(tl.int64)
    low = tl.arange(0, KEPT)
    states = low[:, None] * BRANCHES + tl.arange(0, BRANCHES)[None, :]
    v = tl.load(values + states)
    square, twice = v * v, -2 * v
    before = tl.zeros((KEPT,), tl.float32)
    seam = 0
    if RING:
        seam = tl.load(overlap + row).to(tl.int32)
        before = tl.where(low == seam, 0.0, float("inf"))
    pointers += row * (T - 1) * KEPT
    path += row * T
    for t in range(T - 1):
        cost = square + tl.load(w + row * T + t) * twice + before[:, None]
        before, which = tl.min(
            tl.reshape(cost, (BRANCHES, KEPT)), 0, return_indices=True
        )
        tl.store(pointers + t * KEPT + low, which.to(tl.uint8))
    cost = square + tl.load(w + row * T + T - 1) * twice + before[:, None]
    if RING:  # of the last states, those that end in the seam
        cost = tl.where(states % KEPT == seam, cost, float("inf"))
    state = tl.argmin(tl.reshape(cost, (KEPT * BRANCHES,)), 0)
    tl.store(path + T - 1, state.to(tl.int64))
    tl.debug_barrier()  # what other threads stored is read from here on
    for back in range(T - 1):
        t = T - 2 - back
        part = state // BRANCHES
        state = tl.load(pointers + t * KEPT + part).to(tl.int32) * KEPT + part
        tl.store(path + t, state.to(tl.int64))
