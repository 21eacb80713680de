"""A quantized matrix: codes, the grid of each row and group of columns, their order.

    ŵ_ij = s_ig (q_ij − z_ig),   g = the group that column j was cut into

The step s is rounded to fp16 before any code is chosen, so that what was optimized is
what is stored. `order` lists the columns as they were cut; where it is not the identity
(act-order) it is stored too, at 16 bits a column.

Read in order: `fit_groups`, `Grouped`, `round_to_nearest`.  Taught in notebooks/06.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from lib.quant.linear import (
    Grid,
    bits_per_weight,
    checked_matrix,
    dequantize,
    fit_range,
    grid_from_range,
    quantize,
)

LEAST_STEP = 2.0**-24  # the smallest positive fp16
ORDER_BITS = 16  # an index below 65,536 for each column


def fit_groups(
    w: Float[Tensor, "rows cols"],
    *,
    bits: int,
    group: int,
    symmetric: bool = False,
    importance: Float[Tensor, " cols"] | None = None,
    candidates: int = 1,
) -> Grid:
    """The grid of each group, with fp16 steps; the best of `candidates` clipped ranges.

    Candidate k of n keeps the share 1 − k/2n of the range, k = 0 … n − 1, and the best
    has the least Σ_j importance_j (w_j − ŵ_j)² in its group, so that searching never
    costs error. The dtype is float32, or float64 for float64 weights.
    """
    if candidates < 1:
        raise ValueError(f"candidates={candidates} must be at least 1")
    w = checked_matrix(w)
    low, high = fit_range(w, group=group)
    best = _storable(grid_from_range(low, high, bits=bits, symmetric=symmetric))
    if candidates == 1:
        return best
    weight = 1.0 if importance is None else importance.to(w.dtype)
    least = _misfit(w, best, weight)
    for k in range(1, candidates):
        keep = 1 - k / (2 * candidates)
        grid = grid_from_range(low * keep, high * keep, bits=bits, symmetric=symmetric)
        grid = _storable(grid)
        loss = _misfit(w, grid, weight)
        scale = torch.where(loss < least, grid.scale, best.scale)
        zero = torch.where(loss < least, grid.zero, best.zero)
        best = Grid(scale, zero, grid.low, grid.high)
        least = torch.minimum(loss, least)
    return best


def _storable(grid: Grid) -> Grid:
    """`grid` with steps that fp16 holds, still in their wide dtype."""
    scale = grid.scale.half().clamp(min=LEAST_STEP).to(grid.scale.dtype)
    if not scale.isfinite().all():
        worst = grid.scale.amax().item()
        raise ValueError(f"a step of {worst:.3g} exceeds fp16's largest number, 65504")
    return Grid(scale, grid.zero, grid.low, grid.high)


def _misfit(
    w: Tensor, grid: Grid, importance: Tensor | float
) -> Float[Tensor, "rows groups"]:
    """Σ_j importance_j (w_j − ŵ_j)² of each group."""
    error = w - dequantize(quantize(w, grid), grid)
    return grid.runs_of(error.square() * importance).sum(-1)


@dataclass(frozen=True, eq=False)
class Grouped:
    """The codes of a matrix in its own column order, and the grids of its groups."""

    codes: Integer[Tensor, "rows cols"]
    grid: Grid
    order: Int[Tensor, " cols"] | None = None

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """ŵ = s (q − z), columns in their own order, in the dtype of the steps."""
        if self.order is None:
            return dequantize(self.codes, self.grid)
        cut = dequantize(self.codes[:, self.order], self.grid)
        return torch.empty_like(cut).index_copy_(1, self.order, cut)

    @property
    def bits_per_weight(self) -> float:
        """Codes, fp16 steps, zero points (none if symmetric) and the stored order."""
        rows, cols = self.codes.shape
        grid = self.grid
        constants = bits_per_weight(
            (rows, cols),
            bits=grid.bits,
            group=cols // grid.scale.shape[1],
            symmetric=grid.low < 0,
        )
        return constants + (0 if self.order is None else ORDER_BITS / rows)


def round_to_nearest(
    w: Float[Tensor, "rows cols"],
    *,
    bits: int,
    group: int,
    symmetric: bool = False,
    importance: Float[Tensor, " cols"] | None = None,
    candidates: int = 1,
) -> Grouped:
    """Each weight to the nearest level of its group's grid, and nothing else."""
    grid = fit_groups(
        w,
        bits=bits,
        group=group,
        symmetric=symmetric,
        importance=importance,
        candidates=candidates,
    )
    return Grouped(quantize(w, grid), grid)
