"""W with zeros where |w_ij| ‖x_j‖ is small: within a row, or N of every M neighbours.

    ŵ_ij = w_ij where s_ij = |w_ij| ‖x_j‖ is among the best of its row or run, else 0

Bytes: W read and W written, 4 a weight in 16 bits (3 where the mask is wanted, a byte a
weight), and 4 a column of norms. A mask is bit for bit that of lib.prune: the score is
one product, rounded once to float32, and the rest is order. Of equals the lower column
is kept; NaN counts as more than infinity, so that it is kept and shows; what is dropped
becomes +0. The norm's sign is ignored.

Read in order: `prune_n_of_m`, `prune_per_row`; `launch_n_of_m`, `launch_per_row`; the
kernels in runs_triton.py and rows_triton.py.
Source: Sun et al. 2023, arXiv:2306.11695.
"""

import math

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from lib.kernels.core.compiler import pdl_options, require_triton, triton, widened
from lib.kernels.core.entry import DTYPES
from lib.kernels.core.tiles import power_above
from lib.kernels.wanda.rows_triton import REGISTERS
from lib.kernels.wanda.rows_triton import held_row as _held
from lib.kernels.wanda.rows_triton import streamed_row as _streamed
from lib.kernels.wanda.runs_triton import n_of_m as _n_of_m
from lib.kernels.wanda.runs_triton import naive_n_of_m as _naive
from lib.prune.masks import check_n_of_m, kept_count, kept_n_of_m, kept_per_row
from lib.prune.wanda import wanda_score

TILE_WEIGHTS = 2048  # of a program of 128 threads
MAX_TILE_COLS = 1024
MAX_NEIGHBOURS = 16  # M, of which a thread compares as many, or two threads half each
BYTES_PER_THREAD = 64  # of a row that a thread holds
MAX_HELD_BYTES = 65_536  # of a row that a program holds
STREAMED_COLS = 4096  # of a longer row that it reads at a time


def tile_of(cols: int) -> dict[str, int]:
    """ROWS and COLS of a program: few norms are read for its weights."""
    across = min(MAX_TILE_COLS, power_above(cols))
    return {"ROWS": TILE_WEIGHTS // across, "COLS": across}


def tile_grid(rows: int, cols: int) -> tuple[int, int]:
    """How many tiles, down and across."""
    tile = tile_of(cols)
    return triton.cdiv(rows, tile["ROWS"]), triton.cdiv(cols, tile["COLS"])


def launch_n_of_m(
    w: Float[Tensor, "rows cols"],
    norm: Float32[Tensor, " cols"],
    n: int,
    m: int,
    *,
    mask: bool = False,
    naive: bool = False,
) -> Float[Tensor, "rows cols"] | Bool[Tensor, "rows cols"]:
    """The n best of every m neighbours, m a power of two, by a kernel.

    ImportError without Triton; ValueError where no kernel reaches w.
    """
    require_triton(w)
    (rows, cols), dtype = w.shape, w.dtype
    w, out = _in_and_out(w, mask)
    kernel, log = _naive if naive else _n_of_m, m.bit_length() - 1
    grid, tile = tile_grid(rows, cols), tile_of(cols)
    kernel[grid](w, norm, out, rows, cols, N=n, LOG=log, **tile, num_warps=4)
    return out.view(torch.bool) if mask else out.to(dtype)


def launch_per_row(
    w: Float[Tensor, "rows cols"],
    norm: Float32[Tensor, " cols"],
    k: int,
    *,
    mask: bool = False,
    streamed: bool = False,
) -> Float[Tensor, "rows cols"] | Bool[Tensor, "rows cols"]:
    """The k best of every row by a kernel; a long row is streamed in any case.

    ImportError without Triton; ValueError where no kernel reaches w.
    """
    require_triton(w)
    (rows, cols), dtype = w.shape, w.dtype
    w, out = _in_and_out(w, mask)
    block = power_above(cols)
    streamed = streamed or block * w.element_size() > MAX_HELD_BYTES
    kernel = _streamed if streamed else _held
    block = min(STREAMED_COLS, block) if streamed else block
    warps = max(1, block * w.element_size() // (32 * BYTES_PER_THREAD))
    options = {"num_warps": warps, "maxnreg": REGISTERS} | pdl_options(w)
    tail = math.log(cols / max(k, 1))
    kernel[(rows,)](w, norm, out, cols, k, tail, BLOCK=block, **options)
    return out.view(torch.bool) if mask else out.to(dtype)


def _in_and_out(w: Tensor, mask: bool) -> tuple[Tensor, Tensor]:
    """W as a kernel reads it, and where it writes."""
    w = w.contiguous().to(widened(w.dtype))
    return w, w.new_empty(w.shape, dtype=torch.uint8 if mask else w.dtype)


def checked_norm(w: Tensor, norm: Tensor | None) -> Tensor:
    """‖x_j‖ of every column, ones where there is none; else a ValueError says why."""
    if w.ndim != 2:
        raise ValueError(f"w of shape {tuple(w.shape)} is no matrix")
    if w.dtype not in DTYPES:
        raise ValueError(f"w is {w.dtype}, not one of {', '.join(map(str, DTYPES))}")
    if w.requires_grad and torch.is_grad_enabled():
        raise ValueError("w wants a gradient; under torch.no_grad() there is a mask")
    if norm is None:
        return torch.ones(w.shape[1], device=w.device)
    if norm.dtype != torch.float32 or norm.shape != w.shape[1:]:
        raise ValueError(
            f"norm is {norm.dtype} of shape {tuple(norm.shape)}, not float32 for "
            f"{w.shape[1]} columns"
        )
    if norm.device != w.device:
        raise ValueError(f"norm is on {norm.device}, the weights on {w.device}")
    return norm.contiguous()


def prune_n_of_m(
    w: Float[Tensor, "rows cols"],
    norm: Float[Tensor, "..."] | None = None,
    *,
    n: int = 2,
    m: int = 4,
    mask: bool = False,
) -> Float[Tensor, "rows cols"] | Bool[Tensor, "rows cols"]:
    """W, or the mask of what is kept, with the n best of every m neighbours.

    Without norms the best are the largest. ValueError where m does not divide the
    columns or is no power of two up to 16, for an n outside 1 … m - 1, a w that is no
    matrix, another dtype than fp16, bf16 or float32, a w that wants a gradient, or
    norms unlike w.
    """
    norm = checked_norm(w, norm)
    check_n_of_m(n, m, w.shape[1])
    if m > MAX_NEIGHBOURS or m & (m - 1):
        raise ValueError(f"m={m} is not a power of two up to {MAX_NEIGHBOURS}")
    return torch.ops.llm_compression.prune_n_of_m(w, norm, n, m, mask)


def prune_per_row(
    w: Float[Tensor, "rows cols"],
    norm: Float[Tensor, "..."] | None = None,
    *,
    sparsity: float,
    mask: bool = False,
) -> Float[Tensor, "rows cols"] | Bool[Tensor, "rows cols"]:
    """W, or the mask of what is kept, without the worst ⌊cols · sparsity⌋ of each row.

    Without norms the worst are the smallest. ValueError for a sparsity outside 0 … 1,
    and for w and norms as in `prune_n_of_m`.
    """
    norm = checked_norm(w, norm)
    kept_count(w.shape[1], sparsity)  # refuses what is no share
    return torch.ops.llm_compression.prune_per_row(w, norm, sparsity, mask)


torch.library.define(
    "llm_compression::prune_n_of_m",
    "(Tensor w, Tensor norm, int n, int m, bool mask) -> Tensor",
)
torch.library.define(
    "llm_compression::prune_per_row",
    "(Tensor w, Tensor norm, float sparsity, bool mask) -> Tensor",
)


@torch.library.impl("llm_compression::prune_n_of_m", "CPU")
def _n_of_m_on_cpu(w: Tensor, norm: Tensor, n: int, m: int, mask: bool) -> Tensor:
    return _masked(w, kept_n_of_m(wanda_score(w, norm), n, m), mask)


@torch.library.impl("llm_compression::prune_per_row", "CPU")
def _per_row_on_cpu(w: Tensor, norm: Tensor, sparsity: float, mask: bool) -> Tensor:
    return _masked(w, kept_per_row(wanda_score(w, norm), sparsity), mask)


def _masked(w: Tensor, keep: Tensor, mask: bool) -> Tensor:
    return (keep if mask else w.masked_fill(~keep, 0)).contiguous()


@torch.library.impl("llm_compression::prune_n_of_m", "CUDA")
def _n_of_m_on_cuda(w: Tensor, norm: Tensor, n: int, m: int, mask: bool) -> Tensor:
    return launch_n_of_m(w, norm, n, m, mask=mask) if w.numel() else _shape(w, mask)


@torch.library.impl("llm_compression::prune_per_row", "CUDA")
def _per_row_on_cuda(w: Tensor, norm: Tensor, sparsity: float, mask: bool) -> Tensor:
    if not w.numel():
        return _shape(w, mask)
    return launch_per_row(w, norm, kept_count(w.shape[1], sparsity), mask=mask)


def _shape(w: Tensor, mask: bool) -> Tensor:
    return w.new_empty(w.shape, dtype=torch.bool if mask else w.dtype)


@torch.library.register_fake("llm_compression::prune_n_of_m")
def _n_of_m_shape(w: Tensor, norm: Tensor, n: int, m: int, mask: bool) -> Tensor:
    return _shape(w, mask)


@torch.library.register_fake("llm_compression::prune_per_row")
def _per_row_shape(w: Tensor, norm: Tensor, sparsity: float, mask: bool) -> Tensor:
    return _shape(w, mask)
