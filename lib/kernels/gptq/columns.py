"""GPTQ's column loop: a block of columns a launch, each row in one program's registers.

    e_j = (w_j - ŵ_j) / U_jj,    w_k -= e_j U_jk  for k > j in the block
    W_rest -= E U_block,rest     after it, by one product

Bytes a block of B columns: 4 N B of W read, N B of codes and 4 N B of errors written,
4 B² of U for each program. What counts is none of them: K columns have to be rounded
one after another. In PyTorch each takes some ten launches; here a block takes two.

The arithmetic is float32's of lib.quant.solvers.gptq, with sums in another order: so a
code at a tie may fall to the other side, and E = Σ e² is the same to rounding. Grids
are fresh min–max grids with fp16 scales; the order of columns is the caller's.

Read in order: `gptq_reference`, the kernel in columns_triton.py, `launch`,
`block_after_block`, `gptq_codes`.
Source: Frantar et al. 2022, arXiv:2210.17323.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from lib.kernels.core.compiler import require_triton, triton
from lib.kernels.core.tiles import power_above
from lib.kernels.gptq.columns_triton import round_block
from lib.quant.solvers.gptq import GPTQ, cancel_errors, ordered_factor
from lib.quant.uniform.grid import Grid, checked_matrix, quantize
from lib.quant.uniform.grouped import Grouped, fit_groups

BLOCK = 128  # columns of a launch, at most
ROWS = 16  # of a program

Rounded = tuple[  # codes and zeros above the lowest code, and scales between them
    UInt8[Tensor, "cols rows"],
    Float32[Tensor, "groups rows"],
    Float32[Tensor, "groups rows"],
]


def gptq_reference(
    left: Float32[Tensor, "cols rows"],
    factor: Float32[Tensor, "cols cols"],
    *,
    bits: int,
    group: int,
    symmetric: bool,
) -> Rounded:
    """Codes, scales and zeros by lib.quant; ValueError where a scale exceeds fp16."""
    left, codes, grids = left.clone(), [], []

    def round_column(j: int, rest: Tensor) -> Tensor:
        if j % group == 0:
            first = rest[:group].T
            grids.append(fit_groups(first, bits=bits, group=group, symmetric=symmetric))
        grid = grids[-1]
        q = quantize(rest[:1].T, grid).T.to(torch.int32)
        codes.append((q[0] - grid.low).to(torch.uint8))
        return (grid.scale * (q.T - grid.zero))[:, 0]

    cancel_errors(left, factor, round_column, group=group, block=BLOCK)
    scale = torch.cat([grid.scale for grid in grids], 1).T
    zero = torch.cat([grid.zero - grid.low for grid in grids], 1).T
    return torch.stack(codes), scale.contiguous(), zero.to(scale.dtype).contiguous()


def launch(
    left: Float32[Tensor, "cols rows"],
    factor: Float32[Tensor, "cols cols"],
    *,
    bits: int,
    group: int,
    symmetric: bool,
) -> Rounded:
    """The same by the kernel, a block after another.

    ImportError without Triton; ValueError where no kernel reaches the weights.
    """
    require_triton(left)
    left, (cols, rows) = left.clone(), left.shape
    factor = factor.contiguous()
    codes = left.new_empty(cols, rows, dtype=torch.uint8)
    scale = left.new_empty(cols // group, rows)
    zero = left.new_empty(cols // group, rows)
    grid = (triton.cdiv(rows, ROWS),)

    def launch_block(start: int, stop: int, errors: Tensor) -> None:
        round_block[grid](
            left, factor, codes, scale, zero, errors, start, stop - start, rows, cols,
            GROUP=group,
            LEVELS=2**bits - 1 - symmetric,
            SYMMETRIC=symmetric,
            WIDTH=power_above(len(errors)),
            ROWS=ROWS,
            num_warps=4,
        )  # fmt: skip

    block_after_block(left, factor, BLOCK // group * group, launch_block)
    return codes, scale, zero


def block_after_block(
    left: Float32[Tensor, "cols rows"],
    factor: Float32[Tensor, "cols cols"],
    block: int,
    launch_block: Callable[[int, int, Tensor], None],
) -> None:
    """W_rest -= E U_block,rest after every block, in place.

    `launch_block(start, stop, errors)` rounds these columns, and writes their E into
    `errors` (block, rows), of which the last block may need less.
    """
    errors = left.new_empty(block, left.shape[1])
    for start in range(0, len(left), block):
        stop = min(start + block, len(left))
        launch_block(start, stop, errors)
        moved = factor[start:stop, stop:].T
        left[stop:].addmm_(moved, errors[: stop - start], alpha=-1)


def gptq_codes(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    settings: GPTQ | None = None,
) -> Grouped:
    """`lib.quant.solvers.gptq.gptq` with the kernel where w is on a GPU.

    ValueError for what that refuses, and for what the kernel does not do: groups above
    128 columns, static ones, or a search for grids.
    """
    settings = settings or GPTQ()
    if settings.group > BLOCK or settings.static_groups or settings.candidates > 1:
        raise ValueError(
            f"group={settings.group}, static_groups={settings.static_groups}, "
            f"candidates={settings.candidates}: the kernel fits plain grids to groups "
            f"of at most {BLOCK} columns as they come up"
        )
    w = checked_matrix(w).float()
    order, factor = ordered_factor(w, hessian, settings, group=settings.group)
    bits, symmetric = settings.bits, settings.symmetric
    codes, scale, zero = torch.ops.llm_compression.gptq_codes(
        w[:, order].T.contiguous(), factor, bits, settings.group, symmetric
    )
    if not scale.isfinite().all():
        raise ValueError("a scale exceeds fp16's largest number, 65504")
    high = 2 ** (bits - symmetric) - 1
    low = -high if symmetric else 0
    own = torch.empty_like(codes).index_copy_(0, order, codes).T.contiguous()
    own = (own.to(torch.int16) + low).to(torch.int8) if symmetric else own
    zero = (zero.T + low).to(torch.int32).contiguous()
    grid = Grid(scale.T.contiguous(), zero, low, high)
    return Grouped(own, grid, order if settings.act_order else None)


torch.library.define(
    "llm_compression::gptq_codes",
    "(Tensor left, Tensor factor, int bits, int group, bool symmetric) "
    "-> (Tensor, Tensor, Tensor)",
)


@torch.library.impl("llm_compression::gptq_codes", "CPU")
def _on_cpu(left: Tensor, factor: Tensor, bits: int, group: int, symmetric: bool):
    return gptq_reference(left, factor, bits=bits, group=group, symmetric=symmetric)


def _on_cuda(left: Tensor, factor: Tensor, bits: int, group: int, symmetric: bool):
    return launch(left, factor, bits=bits, group=group, symmetric=symmetric)


torch.library.impl("llm_compression::gptq_codes", "CUDA", _on_cuda)


@torch.library.register_fake("llm_compression::gptq_codes")
def _shape_only(left: Tensor, factor: Tensor, bits: int, group: int, symmetric: bool):
    (cols, rows), dtype = left.shape, torch.uint8
    grids = [left.new_empty(cols // group, rows) for _ in range(2)]
    return left.new_empty(cols, rows, dtype=dtype), *grids
