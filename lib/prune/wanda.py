"""Wanda: keep the weights without which the output would move most.

    s_ij = |w_ij| ‖x_j‖₂ = ‖Δy_i‖₂ where w_ij alone becomes 0      (norms over tokens)

Scores are compared within a row of W, because a row is an output of its own: over the
whole row, or N of every M neighbours. Nothing that stays is changed.

Read in order: masks.py, `column_norms`, `wanda_score`, `Wanda`.  Taught in
notebooks/11.
Source: Sun et al. 2023, arXiv:2306.11695, section 3.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Float32
from torch import Tensor

from lib.prune.masks import kept_by
from lib.prune.method import Pruner
from lib.quant.hessian import Hessian


def column_norms(x: Float[Tensor, "tokens cols"]) -> Float32[Tensor, " cols"]:
    """‖x_j‖₂ of every column."""
    return x.float().norm(dim=0)


def wanda_score(
    w: Float[Tensor, "rows cols"], norm: Float32[Tensor, " cols"]
) -> Float32[Tensor, "rows cols"]:
    """|w_ij ‖x_j‖|, rounded once to float32."""
    return (w.float() * norm).abs()


@dataclass(frozen=True)
class Wanda(Pruner):
    """Settings: the pattern; without `per_row` the whole layer is compared."""

    per_row: bool = True

    def kept(self, w: Tensor, inputs: Hessian) -> Bool[Tensor, "rows cols"]:
        """The best of every row; ‖x_j‖² is n/2 · H_jj, whose n does not matter."""
        norm = inputs.matrix.diagonal().sqrt().float()
        return kept_by(wanda_score(w, norm), self.pattern, per_row=self.per_row)
