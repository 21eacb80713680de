"""SparseGPT's column loop: a block of columns a launch, beside GPTQ's in columns.py.

    ŵ_j = w_j where kept, else 0,    e_j = (w_j - ŵ_j) / U_jj
    w_k -= e_j U_jk  for k > j in the block,    W_rest -= E U_block,rest  after it

A mask of a share is chosen over the block and all rows, by one sort before its launch;
N of M inside the launch, for the scores depend on the errors before them. Bytes a block
of B columns: 4 N B of W read and written, 4 N B of errors, N B of the mask.

The arithmetic is float32's of lib.prune.sparsegpt, with sums in another order: a score
at a tie may fall to the other side.

Read in order: `sparse_reference`, the kernel in sparse_triton.py, `launch`,
`sparse_weight`.
Source: Frantar & Alistarh 2023, arXiv:2301.00774, algorithm 1.
"""

import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from lib.kernels.core.compiler import require_triton, triton
from lib.kernels.core.tiles import power_above
from lib.kernels.gptq.columns import BLOCK, ROWS, block_after_block
from lib.kernels.gptq.sparse_triton import prune_block
from lib.prune.masks import Pattern, kept_per_row
from lib.prune.sparsegpt import MaskedColumns, prepared
from lib.quant.solvers.gptq import cancel_errors
from lib.quant.uniform.grid import checked_matrix

Pruned = tuple[Float32[Tensor, "cols rows"], UInt8[Tensor, "cols rows"]]


def sparse_reference(
    left: Float32[Tensor, "cols rows"],
    factor: Float32[Tensor, "cols cols"],
    pattern: Pattern,
    width: int,
) -> Pruned:
    """Ŵᵀ and its mask by lib.prune; `width` columns share a mask."""
    left = left.clone()
    columns = MaskedColumns(left.T, factor.diagonal(), pattern, width, None)
    cancel_errors(left, factor, columns.round, group=min(width, len(left)))
    return left, columns.kept.to(torch.uint8)


def launch(
    left: Float32[Tensor, "cols rows"],
    factor: Float32[Tensor, "cols cols"],
    pattern: Pattern,
    width: int,
) -> Pruned:
    """The same by the kernel, a block after another.

    ImportError without Triton; ValueError where no kernel reaches the weights.
    """
    require_triton(left)
    left, (cols, rows) = left.clone(), left.shape
    factor, kept = factor.contiguous(), left.new_zeros(cols, rows, dtype=torch.uint8)
    n, m = pattern if isinstance(pattern, tuple) else (0, 0)
    pivots, grid = factor.diagonal()[:, None], (triton.cdiv(rows, ROWS),)

    def launch_block(start: int, stop: int, errors: Tensor) -> None:
        if not m:
            score = (left[start:stop] / pivots[start:stop]).abs().T
            best = kept_per_row(score.reshape(1, -1), pattern)
            kept[start:stop] = best.view(score.shape).T
        prune_block[grid](
            left, factor, kept, errors, start, stop - start, rows, cols,
            N=n,
            M=m,
            WIDTH=power_above(len(errors)),
            ROWS=ROWS,
            num_warps=4,
        )  # fmt: skip

    block = BLOCK // m * m if m else width
    block_after_block(left, factor, block, launch_block)
    return left, kept


def sparse_weight(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    pattern: Pattern = 0.5,
    *,
    mask_block: int = BLOCK,
    damping: float = 0.01,
) -> tuple[Float[Tensor, "rows cols"], Bool[Tensor, "rows cols"]]:
    """`lib.prune.sparsegpt.sparse_gpt`'s weight and mask, by the kernel on a GPU.

    ValueError for what that refuses, and for masks or runs over more than 128 columns.
    """
    w, factor, width = prepared(
        checked_matrix(w).float(), hessian, pattern, mask_block, damping
    )
    if width > BLOCK:
        raise ValueError(f"{width} columns share a mask; the kernel holds {BLOCK}")
    n, m = pattern if isinstance(pattern, tuple) else (0, 0)
    share = 0.0 if m else float(pattern)
    left, kept = torch.ops.llm_compression.sparse_columns(
        w.T.contiguous(), factor, n, m, share, width
    )
    return left.T.contiguous(), kept.T.bool()


torch.library.define(
    "llm_compression::sparse_columns",
    "(Tensor left, Tensor factor, int n, int m, float share, int width) "
    "-> (Tensor, Tensor)",
)


@torch.library.impl("llm_compression::sparse_columns", "CPU")
def _on_cpu(left: Tensor, factor: Tensor, n: int, m: int, share: float, width: int):
    return sparse_reference(left, factor, (n, m) if m else share, width)


def _on_cuda(left: Tensor, factor: Tensor, n: int, m: int, share: float, width: int):
    return launch(left, factor, (n, m) if m else share, width)


torch.library.impl("llm_compression::sparse_columns", "CUDA", _on_cuda)


@torch.library.register_fake("llm_compression::sparse_columns")
def _shape_only(left: Tensor, factor: Tensor, n: int, m: int, share: float, width: int):
    return torch.empty_like(left), torch.empty_like(left, dtype=torch.uint8)
