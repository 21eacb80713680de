"""A quantized matrix: codes, the grid of each row and group of columns, their order.

    ŵ_ij = s_ig (q_ij − z_ig),   g = the group that column j was cut into

The scale s is rounded to fp16 before any code is chosen, so that what was optimized is
what is stored. `order` lists the columns as they were cut; where it is not the identity
(act-order) it is stored too, at 16 bits a column (32 beyond 65,536 columns).

Read in order: `GridSettings`, `fit_groups`, `Grouped`, `RoundToNearest`.  Taught in
notebooks/06.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from lib.quant.hessian import Hessian
from lib.quant.method import Method
from lib.quant.uniform.grid import (
    Grid,
    bits_per_weight,
    checked_matrix,
    dequantize,
    fit_range,
    grid_from_range,
    quantize,
)

LEAST_SCALE = 2.0**-24  # the smallest positive fp16


def index_dtype(cols: int) -> torch.dtype:
    """What holds the index of one of `cols` columns in a file: 16 bits, or 32."""
    return torch.uint16 if cols <= 2**16 else torch.int32


def check_settings(bits: int, group: int, symmetric: bool, candidates: int) -> None:
    """ValueError for what no grid can have: one symmetric bit, an empty group, …"""
    if bits not in range(1 + symmetric, 9):
        raise ValueError(f"bits={bits} with symmetric={symmetric}")
    for name, value in (("group", group), ("candidates", candidates)):
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")


@dataclass(frozen=True)
class GridSettings:
    """How the grids of a matrix are fitted: 4 bits in groups of 64 columns.

    `candidates` is how many clipped ranges each group tries, 1 being the whole range
    (see `fit_groups`). The methods that round onto grids derive from it. ValueError for
    what no grid has: see `check_settings`.
    """

    bits: int = 4
    group: int = 64
    symmetric: bool = False
    candidates: int = 1

    def __post_init__(self) -> None:
        check_settings(self.bits, self.group, self.symmetric, self.candidates)

    def check(self, rows: int, cols: int) -> None:
        """ValueError for a group that does not divide the columns."""
        if cols % self.group:
            raise ValueError(f"group={self.group} does not divide the {cols} columns")

    def fit(
        self,
        w: Float[Tensor, "rows cols"],
        importance: Float[Tensor, " cols"] | None = None,
    ) -> Grid:
        """The grids of the columns of `w`, by `fit_groups`."""
        return fit_groups(
            w,
            bits=self.bits,
            group=self.group,
            symmetric=self.symmetric,
            importance=importance,
            candidates=self.candidates,
        )

    def round(
        self,
        w: Float[Tensor, "rows cols"],
        importance: Float[Tensor, " cols"] | None = None,
    ) -> "Grouped":
        """Each weight to the nearest level of its group's grid, and nothing else."""
        grid = self.fit(w, importance)
        return Grouped(quantize(w, grid), grid)


def fit_groups(
    w: Float[Tensor, "rows cols"],
    *,
    bits: int,
    group: int,
    symmetric: bool = False,
    importance: Float[Tensor, " cols"] | None = None,
    candidates: int = 1,
) -> Grid:
    """The grid of each group, in fp16 scales; the best of `candidates` clipped ranges.

    Candidate k of n keeps the share 1 − k/2n of the range, k = 0 … n − 1, and the best
    has the least Σ_j importance_j (w_j − ŵ_j)² in its group, so that searching never
    costs error. The dtype is float32, or float64 for float64 weights. ValueError for
    settings that no grid has, and for a scale that exceeds fp16.
    """
    check_settings(bits, group, symmetric, candidates)
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
    """`grid` with scales that fp16 holds, still in their wide dtype."""
    scale = grid.scale.half().clamp(min=LEAST_SCALE).to(grid.scale.dtype)
    if not scale.isfinite().all():
        worst = grid.scale.amax().item()
        raise ValueError(f"a scale of {worst:.3g} exceeds fp16's largest number, 65504")
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
        """ŵ = s (q − z), columns in their own order, in the dtype of the scales."""
        if self.order is None:
            return dequantize(self.codes, self.grid)
        cut = dequantize(self.codes[:, self.order], self.grid)
        return torch.empty_like(cut).index_copy_(1, self.order, cut)

    @property
    def bits_per_weight(self) -> float:
        """Codes, fp16 scales, zero points (none if symmetric) and the stored order."""
        rows, cols = self.codes.shape
        grid = self.grid
        constants = bits_per_weight(
            (rows, cols),
            bits=grid.bits,
            group=cols // grid.scale.shape[1],
            symmetric=grid.low < 0,
        )
        order = 0 if self.order is None else 8 * index_dtype(cols).itemsize
        return constants + order / rows


def round_to_nearest(
    w: Float[Tensor, "rows cols"],
    *,
    bits: int,
    group: int,
    symmetric: bool = False,
    importance: Float[Tensor, " cols"] | None = None,
    candidates: int = 1,
) -> Grouped:
    """`w` on grids by `fit_groups`, each weight at its nearest level; raises as it."""
    return GridSettings(bits, group, symmetric, candidates).round(w, importance)


@dataclass(frozen=True)
class RoundToNearest(GridSettings, Method):
    """Each weight to its group's nearest level; needs no calibration."""

    calibrated: ClassVar[bool] = False

    def quantize(self, w: Tensor, inputs: Hessian | None = None) -> Grouped:
        """Round `w`; the inputs do not matter."""
        return self.round(w)
