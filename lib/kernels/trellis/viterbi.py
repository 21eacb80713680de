"""The best path through a bitshift trellis on a GPU: lib/quant/trellis/viterbi.py.

Arithmetic is the floor: a weight takes about five operations for each of 2^L states.
Bytes, for a weight: 2^(L−k) of pointers written, one of them read again, and 12 of w
and path. Torch's own operations write 2^L float32 for each weight and read them again,
by a handful of launches for each place of the ring; here all places run in one.

Costs are float32 sums, as the reference's: another order of rounding may choose another
path of the same cost to 2⁻²² of it.

Read in order: `launch_viterbi`, the kernel in viterbi_triton.py.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.kernels.core.compiler import require_triton, runs_on
from lib.kernels.trellis.viterbi_triton import search
from lib.quant.trellis.bitshift import Trellis
from lib.quant.trellis.viterbi import best_paths, reference_paths

MOST_STATE_BITS = 12  # of which 2^L costs fit a program's registers


def launch_viterbi(
    w: Float[Tensor, "rows length"],
    values: Float[Tensor, " states"],
    overlap: Int[Tensor, " rows"] | None,
    trellis: Trellis,
) -> Int[Tensor, "rows length"]:
    """The states of least cost, int64, by the kernel.

    ImportError without Triton; ValueError where no kernel reaches w.
    """
    require_triton(w)
    rows, length = w.shape
    kept = 2**trellis.overlap_bits
    pointers = w.new_empty((rows, length - 1, kept), dtype=torch.uint8)
    path = w.new_empty((rows, length), dtype=torch.int64)
    search[(rows,)](
        w,
        values,
        path if overlap is None else overlap.contiguous(),
        pointers,
        path,
        length,
        RING=overlap is not None,
        KEPT=kept,
        BRANCHES=trellis.branches,
        num_warps=8 if trellis.state_bits > 9 else 4,
    )
    return path


@best_paths.register_kernel("cuda")
def _on_cuda(
    w: Tensor,
    values: Tensor,
    overlap: Tensor | None,
    L: int,
    k: int,
) -> Tensor:
    """The kernel for float32 and up to 12 bits of state; else lib.quant's own."""
    if w.dtype != torch.float32 or L > MOST_STATE_BITS or not runs_on(w.device):
        return reference_paths(w, values, overlap, Trellis(L, k))
    return launch_viterbi(w, values, overlap, Trellis(L, k))
