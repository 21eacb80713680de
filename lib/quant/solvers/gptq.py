"""GPTQ: round one column, then move those that are left so as to cancel its error.

    minimize  E = tr((W − Ŵ) H (W − Ŵ)ᵀ)          H = (2/n) X Xᵀ + λ I,   H⁻¹ = Uᵀ U
    for j = 1 … cols:      e_j = (w_j − ŵ_j) / U_jj,     w_k −= e_j U_jk   for k > j

Guarantees, each a test. E = Σ_j ‖e_j‖² exactly: what the loop books is what the layer
errs. The block size changes the time, not the codes. In the natural order the codes are
those of OBQ in that order (obq.py), found in O(rows·cols²) in place of O(rows·cols³).

What makes it fast: all rows share U; inside a block only the block is updated, and the
rest waits for one matrix product; W is held transposed, so that a column is one run of
memory. What makes it right: a group's grid is read from the weights as they are when
its first column comes up, with every earlier error already in them.

Read in order: hessian.py, `cancel_errors`, `GPTQ`, `gptq`.  Taught in notebooks/06.
Source: Frantar et al. 2022, arXiv:2210.17323, algorithm 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd, isfinite

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.quant.hessian import Hessian, inverse_factor
from lib.quant.method import Method
from lib.quant.uniform.grid import Grid, checked_matrix
from lib.quant.uniform.grouped import GridSettings, Grouped

# (column j, the columns left to round from j on) -> ŵ_j
Rounder = Callable[[int, Float[Tensor, "left rows"]], Float[Tensor, " rows"]]


def cancel_errors(
    w: Float[Tensor, "cols rows"],
    factor: Float[Tensor, "cols cols"],
    round_column: Rounder,
    *,
    group: int = 1,
    block: int = 128,
) -> Float[Tensor, " cols"]:
    """Round Wᵀ column by column in place, to Ŵᵀ; return Σ_rows e_j² of each column.

    `round_column(j, left)` sees left[k] = w_{j+k} with every earlier error in it, for
    the rest of j's group at least. Whatever it returns is compensated: a grid's level,
    an entry of a codebook, zero (pruning), or w_j itself, kept (SpQR's outliers).
    """
    block = _aligned(block, group)
    columns, losses = w.unbind(), []
    for start in range(0, len(w), block):
        stop = min(start + block, len(w))
        errors = torch.empty_like(w[start:stop])  # E, a row for each column of W
        pivots = factor.diagonal()[start:stop].tolist()
        for j, pivot, error in zip(
            range(start, stop), pivots, errors.unbind(), strict=True
        ):
            rounded = round_column(j, w[j:])
            torch.sub(columns[j], rounded, out=error).div_(pivot)
            columns[j].copy_(rounded)
            w[j + 1 : stop].addr_(factor[j, j + 1 : stop], error, alpha=-1)
        w[stop:].addmm_(factor[start:stop, stop:].T, errors, alpha=-1)  # the lazy part
        losses.append(errors.square().sum(1))
    return torch.cat(losses)


def _aligned(block: int, group: int) -> int:
    """The largest block up to `block` that a group fits into, or that fits into it.

    A group then begins at a block's start or lies inside one block, and its columns are
    up to date when its first one comes up.
    """
    return block // group * group if block >= group else gcd(block, group)


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How the columns are gone through; λ is `damping` times mean(diag H).

    `act_order` rounds the columns of largest H_jj first, while there is most freedom to
    repair them, and cuts its groups in that order. `block` changes the time alone.
    ValueError for a block below 1, and a damping that is negative or not finite.
    """

    act_order: bool = False
    damping: float = 0.01
    block: int = 128

    def __post_init__(self) -> None:
        if self.block < 1:
            raise ValueError(f"block={self.block} must be at least 1")
        if not (isfinite(self.damping) and self.damping >= 0):
            raise ValueError(f"damping={self.damping} must be finite and at least 0")


@dataclass(frozen=True)
class GPTQ(LoopSettings, GridSettings, Method):
    """Settings: grids as in `GridSettings`, the loop as in `LoopSettings`.

    With `static_groups` an act-order's groups stay those of the columns' own order,
    fitted before the loop, and no order is stored. `candidates` > 1 searches each
    group's clipping, weighing errors by 1/U_jj², which is what they cost.
    """

    static_groups: bool = False

    def __post_init__(self) -> None:
        GridSettings.__post_init__(self)
        LoopSettings.__post_init__(self)

    def quantize(self, w: Tensor, inputs: Hessian) -> Grouped:
        """Quantize a layer's weight for the inputs that `inputs` has seen."""
        return gptq(w, inputs.matrix, self)


def gptq(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    settings: GPTQ | None = None,
) -> Grouped:
    """Quantize `w` for inputs with second moment `hessian`; codes in w's column order.

    Works in float32 (float64 for float64 weights). ValueError for a group that does not
    divide the columns, weights that are not finite, and whatever `inverse_factor` says.
    """
    settings = settings or GPTQ()
    w = checked_matrix(w)
    order, factor = ordered_factor(w, hessian, settings, group=settings.group)
    left = w[:, order].T.contiguous()
    groups = Groups(w, order, factor.diagonal() ** -2, settings)
    cancel_errors(
        left, factor, groups.round, group=settings.group, block=settings.block
    )
    kind = torch.int8 if settings.symmetric else torch.uint8
    codes = torch.empty(w.shape, dtype=kind, device=w.device)
    codes[:, order] = groups.codes.T.to(kind)  # undo the order
    stored = settings.act_order and not settings.static_groups
    return Grouped(codes, groups.grid, order if stored else None)


def ordered_factor(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    settings: LoopSettings,
    *,
    group: int,
) -> tuple[Int[Tensor, " cols"], Float[Tensor, "cols cols"]]:
    """The order to round columns in, and U in that order, in the dtype of w.

    ValueError for groups that do not divide the columns, an H of another size, and
    whatever `inverse_factor` says.
    """
    cols = w.shape[1]
    if cols % group:
        raise ValueError(f"group={group} does not divide the {cols} columns")
    if hessian.shape != (cols, cols):
        raise ValueError(f"H is {tuple(hessian.shape)}, and w has {cols} columns")
    order = torch.arange(cols, device=w.device)
    moment = hessian.to(w.dtype)
    if settings.act_order:
        order = hessian.diagonal().argsort(descending=True, stable=True)
        moment = moment[order][:, order]
    return order, inverse_factor(moment, damping=settings.damping)


class Groups:
    """Rounds columns on the grids of their groups; keeps the codes and the grids."""

    def __init__(
        self,
        w: Float[Tensor, "rows cols"],
        order: Int[Tensor, " cols"],
        importance: Float[Tensor, " cols"],  # in the order of rounding
        settings: GPTQ,
    ) -> None:
        self.settings, self.importance = settings, importance
        own = torch.empty_like(importance).index_copy_(0, order, importance)
        start = settings.fit(w, own) if settings.static_groups else None
        self.grids = [] if start is None else [start]
        self.index = (order // settings.group).tolist()  # of each column's static group
        self.levels = [] if start is None else _levels(start)
        self.high = 2 ** (settings.bits - settings.symmetric) - 1
        self.low = -self.high if settings.symmetric else 0
        self.codes = torch.empty(w.T.shape, dtype=w.dtype, device=w.device)
        self.rows = self.codes.unbind()

    def round(self, j: int, left: Float[Tensor, "left rows"]) -> Float[Tensor, " rows"]:
        """ŵ_j; fits a group's grid when its first column comes up."""
        group, place = self.settings.group, -1
        if self.settings.static_groups:
            place = self.index[j]
        elif j % group == 0:
            fresh = self.settings.fit(left[:group].T, self.importance[j : j + group])
            self.grids.append(fresh)
            self.levels = _levels(fresh)
        s, z = self.levels[place]
        q = torch.div(left[0], s, out=self.rows[j]).round_().add_(z)
        return q.clamp_(self.low, self.high).sub(z).mul_(s)

    @property
    def grid(self) -> Grid:
        """All groups side by side: (rows, groups)."""
        scale = torch.cat([grid.scale for grid in self.grids], 1)
        zero = torch.cat([grid.zero for grid in self.grids], 1)
        return Grid(scale, zero, self.grids[0].low, self.grids[0].high)


def _levels(grid: Grid) -> list[tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]]:
    """The scale and the zero of every row, group by group, as runs of memory."""
    scale = grid.scale.T.contiguous()
    return list(zip(scale.unbind(), grid.zero.T.to(scale.dtype).unbind(), strict=True))
