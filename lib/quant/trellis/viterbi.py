"""Viterbi: the best path through a trellis, in 2^L steps a weight and not 2^(k T).

    D_t(s) = (w_t − v(s))² + min over the 2^k states p before s of D_t−1(p)

The states before s are those whose low L − k bits are s's high ones: with D_t−1 seen as
a matrix (2^k, 2^(L−k)), the minimum is over its first index, and its result serves 2^k
neighbours s at once. Kept for the way back: which of the 2^k it was, one byte for every
2^k states.

A ring has no first state. `ring_viterbi` fixes the L − k bits where it closes (the
`overlap`), and finds them as QTIP does: a first pass over the ring turned by half, with
free ends, has seen both sides of the seam where it passes it. `exact_ring` tries all
2^(L−k) overlaps.

Guarantees, each a test: `viterbi` is no worse than any path, `exact_ring` no worse than
any ring; free ends ≤ exact ring ≤ two passes, and two passes make a ring.

Read in order: `viterbi`, `best_paths`, `ring_viterbi`, `exact_ring`.
Sources: Viterbi 1967; for quantizing: Marcellin & Fischer 1990; the two passes: Tseng
et al. 2024, "QTIP", arXiv:2406.11235, algorithm 4.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.quant.trellis.bitshift import Trellis

POINTERS = 2**28  # bytes of way back that are held at once


def viterbi(
    w: Float[Tensor, "rows length"],
    values: Float[Tensor, " states"],
    trellis: Trellis,
    *,
    overlap: Int[Tensor, " rows"] | None = None,
) -> Int[Tensor, "rows length"]:
    """The states of least Σ (w − v)², a path a row, int64; ends free or closed.

    With `overlap` a row's path begins with those L − k bits and ends in them: a ring.
    In the dtype of w. ValueError for values that are not 2^L, and an empty row.
    """
    if len(values) != trellis.states:
        raise ValueError(f"{len(values)} values for {trellis.states} states")
    if not w.numel():
        raise ValueError(f"w is {tuple(w.shape)}: there is nothing to quantize")
    sizes = (trellis.state_bits, trellis.bits)
    return best_paths(w.contiguous(), values.to(w).contiguous(), overlap, *sizes)


@torch.library.custom_op(
    "llm_compression::best_paths",
    mutates_args=(),
    schema="(Tensor w, Tensor values, Tensor? overlap, int L, int k) -> Tensor",
)
def best_paths(
    w: Tensor,
    values: Tensor,
    overlap: Tensor | None,
    L: int,
    k: int,
) -> Tensor:
    """`viterbi` without its checks.

    A registered operation: this is its code on every device, until `lib.kernels` is
    imported and brings a kernel for CUDA (lib/kernels/trellis).
    """
    return reference_paths(w, values, overlap, Trellis(L, k))


@best_paths.register_fake
def _paths_shape(
    w: Tensor,
    values: Tensor,
    overlap: Tensor | None,
    L: int,
    k: int,
) -> Tensor:
    return w.new_empty(w.shape, dtype=torch.int64)


def reference_paths(
    w: Float[Tensor, "rows length"],
    values: Float[Tensor, " states"],
    overlap: Int[Tensor, " rows"] | None,
    trellis: Trellis,
) -> Int[Tensor, "rows length"]:
    """`viterbi` in torch, in as many rows at once as memory holds."""
    held = max(1, POINTERS // (w.shape[1] * 2**trellis.overlap_bits))
    starts = range(0, len(w), held)
    ends = [None if overlap is None else overlap[i : i + held] for i in starts]
    parts = zip(w.split(held), ends, strict=True)
    return torch.cat([_paths(rows, values, trellis, end) for rows, end in parts])


def _paths(
    w: Tensor, values: Tensor, trellis: Trellis, overlap: Tensor | None
) -> Int[Tensor, "rows length"]:
    """The forward pass, and the way back."""
    rows, length = w.shape
    branches, kept = trellis.branches, 2**trellis.overlap_bits
    # (w − v)² = w² − 2 w v + v², and w² chooses nothing
    square, twice = (
        values.square().view(kept, branches),
        -2 * values.view(kept, branches),
    )
    before = w.new_zeros(rows, kept)  # min over what came before, by its low bits
    if overlap is not None:
        before.fill_(torch.inf).scatter_(1, overlap[:, None], 0.0)
    pointers = []
    for t, column in enumerate(w.T.contiguous()):
        cost = torch.addcmul(square, column[:, None, None], twice) + before[..., None]
        if t + 1 < length:
            before, which = cost.view(rows, branches, kept).min(1)
            pointers.append(which.to(torch.uint8))
    cost = cost.view(rows, branches, kept)
    if overlap is not None:  # of the last states, those with these low bits
        high = cost.gather(2, overlap[:, None, None].expand(-1, branches, 1)).argmin(1)
        state = high[:, 0] * kept + overlap
    else:
        state = cost.flatten(1).argmin(1)
    path = [state]
    for which in reversed(pointers):
        low = state >> trellis.bits
        state = which.gather(1, low[:, None])[:, 0].long() * kept + low
        path.append(state)
    return torch.stack(path[::-1], 1)


def ring_viterbi(
    w: Float[Tensor, "rows length"],
    values: Float[Tensor, " states"],
    trellis: Trellis,
) -> Int[Tensor, "rows length"]:
    """Rings of states for the rows of w, by QTIP's two passes, int64.

    ValueError as `viterbi`.
    """
    half = w.shape[1] // 2
    turned = viterbi(w.roll(half, 1), values, trellis)
    seam = turned[:, half] >> trellis.bits  # what w's first state has of the one before
    return viterbi(w, values, trellis, overlap=seam)


def exact_ring(
    w: Float[Tensor, "rows length"],
    values: Float[Tensor, " states"],
    trellis: Trellis,
) -> Int[Tensor, "rows length"]:
    """The best ring of each row, by a pass for each of the 2^(L−k) overlaps, int64.

    ValueError as `viterbi`.
    """
    best, least = None, w.new_full((len(w),), torch.inf)
    for seam in range(2**trellis.overlap_bits):
        ends = torch.full((len(w),), seam, device=w.device)
        states = viterbi(w, values, trellis, overlap=ends)
        loss = (w - values.to(w)[states]).square().sum(1)
        best = (
            states
            if best is None
            else torch.where((loss < least)[:, None], states, best)
        )
        least = torch.minimum(loss, least)
    return best
