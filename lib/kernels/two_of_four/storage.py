"""Two of every four weights: their values, and 2 bits each that say where they stood.

    values[i, 2g], values[i, 2g + 1] = the kept of w[i, 4g … 4g + 3], in their order
    indices[i, b] = Σ_h (first[i, 2b + h] + 4 last[i, 2b + h]) 16^h,    h = 0, 1

A byte holds two groups, the earlier one in the lower nibble; a nibble holds the columns
of both kept weights in the group, first < last, the first one in the lower bits.

Bytes a weight in 16 bits: 2 read, 1 + 1/8 written, and back again the same. Which two
is Wanda's choice: without norms the larger ones, so that a matrix which is 2:4 already
comes back exactly (where it had -0, with +0).

Read in order: `TwoOfFour`, `compress_two_of_four`, `decompress_two_of_four`, and
the kernels in storage_triton.py.
Source: Mishra et al. 2021, arXiv:2104.08378, section 3.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from lib.kernels.core.compiler import require_triton, widened
from lib.kernels.core.entry import DTYPES
from lib.kernels.two_of_four.storage_triton import compress as _compress
from lib.kernels.two_of_four.storage_triton import decompress as _decompress
from lib.kernels.wanda.masks import checked_norm, tile_grid, tile_of
from lib.prune.masks import kept_n_of_m
from lib.prune.wanda import wanda_score

COLS_PER_BYTE = 8  # two groups of four, whose indices fill a byte


@dataclass(frozen=True, eq=False)
class TwoOfFour:
    """The kept weights of a matrix, and where they stood.

    ValueError for other dtypes, and for indices that do not fit the values.
    """

    values: Float[Tensor, "rows half"]
    indices: UInt8[Tensor, "rows eighth"]

    def __post_init__(self):
        rows, half = self.values.shape
        if self.values.dtype not in DTYPES or self.indices.dtype != torch.uint8:
            raise ValueError(
                f"values are {self.values.dtype}, indices {self.indices.dtype}"
            )
        if self.indices.shape != (rows, half // 4) or half % 4:
            raise ValueError(
                f"{rows} rows of {half} values, but indices of shape "
                f"{tuple(self.indices.shape)}"
            )

    @property
    def nbytes(self) -> int:
        """Bytes of values and indices."""
        return self.values.nbytes + self.indices.nbytes


def compress_reference(
    w: Float[Tensor, "rows cols"], norm: Float32[Tensor, " cols"]
) -> tuple[Float[Tensor, "rows half"], UInt8[Tensor, "rows eighth"]]:
    """The equation: values and indices."""
    keep = kept_n_of_m(wanda_score(w, norm), 2, 4).to(torch.uint8)
    groups = (w.shape[1] // 4, 4)
    order = keep.unflatten(1, groups).sort(dim=-1, descending=True, stable=True)
    column = order.indices[..., :2]  # (rows, groups, 2)
    values = w.unflatten(1, groups).gather(2, column).flatten(1)
    nibble = (column[..., 0] | column[..., 1] << 2).to(torch.uint8)
    return values, nibble[:, ::2] | nibble[:, 1::2] << 4


def decompress_reference(
    values: Float[Tensor, "rows half"], indices: UInt8[Tensor, "rows eighth"]
) -> Float[Tensor, "rows cols"]:
    """The equation, solved for w."""
    nibble = torch.stack((indices & 15, indices >> 4), -1).flatten(1)
    column = torch.stack((nibble & 3, nibble >> 2), -1).long()  # (rows, groups, 2)
    rows, groups, _ = column.shape
    w = values.new_zeros(rows, groups, 4)
    return w.scatter_(2, column, values.reshape(rows, groups, 2)).flatten(1)


def launch_compress(
    w: Float[Tensor, "rows cols"], norm: Float32[Tensor, " cols"]
) -> tuple[Float[Tensor, "rows half"], UInt8[Tensor, "rows eighth"]]:
    """Values and indices by the kernel.

    ImportError without Triton; ValueError where no kernel reaches w.
    """
    require_triton(w)
    (rows, cols), dtype = w.shape, w.dtype
    w = w.contiguous().to(widened(dtype))
    values = w.new_empty(rows, cols // 2)
    indices = w.new_empty(rows, cols // COLS_PER_BYTE, dtype=torch.uint8)
    grid, tile = tile_grid(rows, cols), tile_of(cols)
    _compress[grid](w, norm, values, indices, rows, cols, **tile, num_warps=4)
    return values.to(dtype), indices


def launch_decompress(
    values: Float[Tensor, "rows half"], indices: UInt8[Tensor, "rows eighth"]
) -> Float[Tensor, "rows cols"]:
    """W by the kernel.

    ImportError without Triton; ValueError where no kernel reaches the values.
    """
    require_triton(values)
    (rows, half), dtype = values.shape, values.dtype
    values = values.contiguous().to(widened(dtype))
    cols = 2 * half
    w = values.new_empty(rows, cols)
    grid, tile = tile_grid(rows, cols), tile_of(cols)
    indices = indices.contiguous()
    _decompress[grid](values, indices, w, rows, cols, **tile, num_warps=4)
    return w.to(dtype)


def compress_two_of_four(
    w: Float[Tensor, "rows cols"], norm: Float[Tensor, "..."] | None = None
) -> TwoOfFour:
    """The two of every four that score best, without norms the larger ones.

    ValueError for columns that 8 does not divide, a w that is no matrix, another dtype
    than fp16, bf16 or float32, a w that wants a gradient, or norms unlike w.
    """
    norm = checked_norm(w, norm)
    if w.shape[1] % COLS_PER_BYTE:
        raise ValueError(f"{COLS_PER_BYTE} does not divide the {w.shape[1]} columns")
    return TwoOfFour(*torch.ops.llm_compression.compress_two_of_four(w, norm))


def decompress_two_of_four(kept: TwoOfFour) -> Float[Tensor, "rows cols"]:
    """The matrix, zeros where nothing was kept."""
    return torch.ops.llm_compression.decompress_two_of_four(kept.values, kept.indices)


torch.library.define(
    "llm_compression::compress_two_of_four",
    "(Tensor w, Tensor norm) -> (Tensor, Tensor)",
)
torch.library.define(
    "llm_compression::decompress_two_of_four",
    "(Tensor values, Tensor indices) -> Tensor",
)


@torch.library.impl("llm_compression::compress_two_of_four", "CPU")
def _compress_on_cpu(w: Tensor, norm: Tensor) -> tuple[Tensor, Tensor]:
    return compress_reference(w, norm)


@torch.library.impl("llm_compression::decompress_two_of_four", "CPU")
def _decompress_on_cpu(values: Tensor, indices: Tensor) -> Tensor:
    return decompress_reference(values, indices)


@torch.library.impl("llm_compression::compress_two_of_four", "CUDA")
def _compress_on_cuda(w: Tensor, norm: Tensor) -> tuple[Tensor, Tensor]:
    return launch_compress(w, norm) if w.numel() else _halves(w, norm)


@torch.library.impl("llm_compression::decompress_two_of_four", "CUDA")
def _decompress_on_cuda(values: Tensor, indices: Tensor) -> Tensor:
    return launch_decompress(values, indices) if values.numel() else _whole(values)


@torch.library.register_fake("llm_compression::compress_two_of_four")
def _halves(w: Tensor, norm: Tensor) -> tuple[Tensor, Tensor]:
    rows, cols = w.shape
    indices = w.new_empty(rows, cols // COLS_PER_BYTE, dtype=torch.uint8)
    return w.new_empty(rows, cols // 2), indices


@torch.library.register_fake("llm_compression::decompress_two_of_four")
def _whole(values: Tensor, indices: Tensor | None = None) -> Tensor:
    return values.new_empty(values.shape[0], 2 * values.shape[1])
