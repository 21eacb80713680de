"""Wanda: keep the weights without which the output would move most.

    s_ij = |w_ij| ‖x_j‖₂ = ‖Δy_i‖₂ where w_ij alone becomes 0      (norms over tokens)

Scores are compared within a row of W, because a row is an output of its own: over the
whole row, or N of every M neighbours. A mask says what is kept. Of equal scores the
lower column comes first; NaN comes before everything, and is equal to itself: so every
mask has exactly the asked number of weights, and is the same on every machine.

Read in order: `column_norms`, `wanda_score`, `kept_per_row`, `kept_n_of_m`.
Source: Sun et al. 2023, arXiv:2306.11695; N of M: Mishra et al. 2021, arXiv:2104.08378.
"""

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor


def column_norms(x: Float[Tensor, "tokens cols"]) -> Float32[Tensor, " cols"]:
    """‖x_j‖₂ of every column."""
    return x.float().norm(dim=0)


def wanda_score(
    w: Float[Tensor, "rows cols"], norm: Float32[Tensor, " cols"]
) -> Float32[Tensor, "rows cols"]:
    """|w_ij ‖x_j‖|, rounded once to float32."""
    return (w.float() * norm).abs()


def kept_count(cols: int, sparsity: float) -> int:
    """How many of `cols` remain: all but ⌊cols · sparsity⌋, a product of doubles.

    ValueError for a sparsity outside [0, 1].
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity={sparsity} is not between 0 and 1")
    return cols - int(cols * sparsity)


def check_n_of_m(n: int, m: int, cols: int) -> None:
    """ValueError where `kept_n_of_m` has nothing to choose, or runs don't fit a row."""
    if not 0 < n < m:
        raise ValueError(f"n={n} of m={m}: n must be between 1 and m - 1")
    if cols % m:
        raise ValueError(f"m={m} does not divide the {cols} columns")


def kept_per_row(
    score: Float[Tensor, "rows cols"], sparsity: float
) -> Bool[Tensor, "rows cols"]:
    """The best of every row: all but ⌊cols · sparsity⌋; ValueError as `kept_count`."""
    return _best(score, kept_count(score.shape[1], sparsity))


def kept_n_of_m(
    score: Float[Tensor, "rows cols"], n: int, m: int
) -> Bool[Tensor, "rows cols"]:
    """The n best of every m neighbours; ValueError as `check_n_of_m`."""
    check_n_of_m(n, m, score.shape[1])
    runs = score.unflatten(1, (score.shape[1] // m, m))
    return _best(runs, n).flatten(1)


def _best(score: Float[Tensor, "*runs cols"], k: int) -> Bool[Tensor, "*runs cols"]:
    """The k best along the last dimension, by a sort that leaves equals in place."""
    order = score.sort(dim=-1, descending=True, stable=True).indices[..., :k]
    return torch.zeros_like(score, dtype=torch.bool).scatter_(-1, order, True)
