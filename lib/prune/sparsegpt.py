"""SparseGPT: GPTQ's loop, with 0 for the only level, and a mask to say where.

    for j = 1 … cols:      e_j = (w_j − ŵ_j) / U_jj,     w_k −= e_j U_jk   for k > j
    ŵ_ij = w_ij where kept, else 0
    the mask of a block, when its first column comes up:
        keep the largest |w_ij| / U_jj  of the block,  or n of every m of them

|w_ij| / U_jj is what dropping w_ij costs (its square, as OBS has it), with the later
columns free to answer. Scores are compared over a whole block of 128 columns and all
rows, so a row may keep more than another; that is what makes the mask adapt.

Guarantees, each a test. Σ_j ‖e_j‖² is the layer's error. With H = I it is magnitude
pruning; with a diagonal H its n:m is Wanda's, bit for bit, and what stays is unchanged.
*Not* a guarantee: to err less than its mask alone. A kept weight is moved in the hope
of later ones, and they may be dropped (tests/prune/test_sparsegpt.py has such an H).

With `grid` what is kept is rounded in the same pass, and errors of both kinds cancel.

Read in order: `sparse_gpt`, `prepared`, `MaskedColumns`, `SparseGPT`.  Taught in
notebooks/11; on a GPU lib/kernels/gptq/sparse.py goes through the columns.
Source: Frantar & Alistarh 2023, arXiv:2301.00774, algorithm 1; section 3.5 for grids.
"""

from dataclasses import dataclass
from math import lcm

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lib.prune.masks import Pattern, check_n_of_m, check_pattern, kept_by
from lib.prune.method import Pruner
from lib.prune.n_of_m import NOfM
from lib.prune.refit import refit
from lib.prune.storage import Bitmap, SparseCodes
from lib.quant.hessian import Hessian, inverse_factor
from lib.quant.solvers.gptq import GPTQ, Groups, cancel_errors
from lib.quant.uniform.grid import checked_matrix


@dataclass(frozen=True, eq=False)
class Sparsified:
    """What the loop found. `losses` sums to the error (in the damped H) it booked."""

    weight: Float[Tensor, "rows cols"]
    kept: Bool[Tensor, "rows cols"]
    losses: Float[Tensor, " cols"]
    groups: Groups | None  # the codes and grids of what is kept, where it was rounded


def sparse_gpt(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    pattern: Pattern = 0.5,
    *,
    mask_block: int = 128,
    damping: float = 0.01,
    grid: GPTQ | None = None,
) -> Sparsified:
    """Prune `w` for inputs with second moment `hessian`, and round to `grid` if given.

    Of a share, every block of `mask_block` columns loses exactly ⌊its size · share⌋.
    Weights of dead inputs (H_jj = 0) are zeroed first: their score would have no
    meaning. ValueError for m or a grid's group that does not divide the columns, a
    mask block below 1, an H of another size, and as `inverse_factor`.
    """
    w, cols = checked_matrix(w), w.shape[1]
    if grid is not None and cols % grid.group:
        raise ValueError(f"group={grid.group} does not divide the {cols} columns")
    w, factor, width = prepared(w, hessian, pattern, mask_block, damping)
    columns = MaskedColumns(w, factor.diagonal(), pattern, width, grid)
    left = w.T.contiguous()
    group = width if grid is None else lcm(width, grid.group)
    losses = cancel_errors(left, factor, columns.round, group=min(group, cols))
    return Sparsified(left.T.contiguous(), columns.kept.T, losses, columns.groups)


def prepared(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    pattern: Pattern,
    mask_block: int,
    damping: float,
) -> tuple[Float[Tensor, "rows cols"], Float[Tensor, "cols cols"], int]:
    """w without its dead columns, U, and how many columns choose their mask together.

    ValueError as `sparse_gpt`.
    """
    cols, width = w.shape[1], mask_block
    check_pattern(pattern)
    if mask_block < 1:
        raise ValueError(f"mask_block={mask_block} must be at least 1")
    if hessian.shape != (cols, cols):
        raise ValueError(f"H is {tuple(hessian.shape)}, and w has {cols} columns")
    if isinstance(pattern, tuple):
        check_n_of_m(*pattern, cols)
        width = pattern[1]
    w = torch.where(hessian.diagonal() == 0, 0, w)
    return w, inverse_factor(hessian.to(w.dtype), damping=damping), width


class MaskedColumns:
    """Chooses each block's mask when its first column comes up, and applies it."""

    def __init__(
        self,
        w: Float[Tensor, "rows cols"],
        pivots: Float[Tensor, " cols"],
        pattern: Pattern,
        width: int,
        grid: GPTQ | None,
    ) -> None:
        self.pivots, self.pattern, self.width = pivots[:, None], pattern, width
        self.kept = torch.ones_like(w.T, dtype=torch.bool)
        order = torch.arange(w.shape[1], device=w.device)
        self.groups = None if grid is None else Groups(w, order, pivots**-2, grid)

    def round(self, j: int, left: Float[Tensor, "left rows"]) -> Float[Tensor, " rows"]:
        """ŵ_j: w_j, or its level, where it is kept; else 0."""
        if j % self.width == 0:
            ahead = left[: self.width]
            score = (ahead / self.pivots[j : j + len(ahead)]).abs()
            kept = kept_by(score.T, self.pattern, per_row=False)
            self.kept[j : j + len(ahead)] = kept.T
        w = left[0] if self.groups is None else self.groups.round(j, left)
        return torch.where(self.kept[j], w, 0)


@dataclass(frozen=True)
class SparseGPT(Pruner):
    """Settings: the share or n:m to keep, and the columns that share a mask.

    With `bits` what is kept is rounded to grids in groups of `group` columns, in the
    same pass. ValueError for a mask block below 1, for grids that GPTQ refuses, and for
    a refit of what is rounded, which would leave its grid.
    """

    mask_block: int = 128
    bits: int | None = None
    group: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask_block < 1:
            raise ValueError(f"mask_block={self.mask_block} must be at least 1")
        if self.bits is not None and self.refit:
            raise ValueError(f"refit=True with bits={self.bits}: choose one")
        self.grid()

    def grid(self) -> GPTQ | None:
        """The grids, as GPTQ has them; refuses what it refuses."""
        return None if self.bits is None else GPTQ(self.bits, self.group)

    def check(self, rows: int, cols: int) -> None:
        """ValueError for n:m, or a grid's group, that does not divide the columns."""
        super().check(rows, cols)
        if grid := self.grid():
            grid.check(rows, cols)

    def found(self, w: Tensor, inputs: Hessian) -> Sparsified:
        """What the loop makes of `w`, with these settings."""
        return sparse_gpt(
            w,
            inputs.matrix,
            self.pattern,
            mask_block=self.mask_block,
            damping=self.damping,
            grid=self.grid(),
        )

    def pruned(self, w: Tensor, inputs: Hessian) -> Float[Tensor, "rows cols"]:
        """ŵ before it is stored."""
        found = self.found(w, inputs)
        if not self.refit:
            return found.weight
        w = checked_matrix(w)
        return refit(w, found.kept, inputs.matrix, damping=self.damping)

    def quantize(self, w: Tensor, inputs: Hessian) -> Bitmap | NOfM | SparseCodes:
        """Prune a layer's weight for the inputs that `inputs` has seen."""
        if self.bits is None:
            return super().quantize(w, inputs)
        found = self.found(w, inputs)
        codes = found.groups.codes.T.to(torch.uint8)
        return SparseCodes.compress(found.kept, codes, found.groups.grid)
