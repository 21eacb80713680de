"""Which weights stay, given what each is worth: a share of a row or matrix, or n:m.

A mask says what is kept. Of equal scores the earlier one comes first (the lower column,
the lower row): so every mask has exactly the asked number of weights, and is the same
on every machine. Ties are no rarity: weights that come off a 4-bit grid are full of
them. In a row NaN comes before everything, and is equal to itself.

Read in order: `kept_count`, `kept_per_row`, `kept_n_of_m`, `kept_best`, `kept_by`.
Source: N of M: Mishra et al. 2021, arXiv:2104.08378, where N counts what stays.
"""

from fractions import Fraction

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# The share of weights to drop, or (n, m): n of every m neighbours in a row stay.
Pattern = float | Fraction | tuple[int, int]


def kept_count(cols: int, sparsity: float | Fraction) -> int:
    """How many of `cols` remain: all but ⌊cols · sparsity⌋, a product of doubles.

    A `Fraction` is multiplied exactly. ValueError for a sparsity outside [0, 1].
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


def check_pattern(pattern: Pattern) -> None:
    """ValueError for a pattern that no matrix can have."""
    if isinstance(pattern, tuple):
        check_n_of_m(*pattern, cols=pattern[1])
    else:
        kept_count(1, pattern)


def kept_per_row(
    score: Float[Tensor, "rows cols"], sparsity: float | Fraction
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


def kept_best(score: Float[Tensor, "..."], k: int) -> Bool[Tensor, "..."]:
    """The k best of all, by selection: a hundred million scores need no sort.

    ValueError for a k that there is not, and for NaN, which has no rank here.
    """
    flat = score.flatten()
    if not 0 <= k <= len(flat):
        raise ValueError(f"k={k} of {len(flat)} scores")
    if flat.isnan().any():
        raise ValueError(f"{int(flat.isnan().sum())} of {len(flat)} scores are NaN")
    if k == 0:
        return torch.zeros_like(score, dtype=torch.bool)
    least = flat.kthvalue(len(flat) - k + 1).values  # the worst score that stays
    kept, equal = flat > least, flat == least
    kept |= equal & (equal.cumsum(0) <= k - kept.sum())
    return kept.view(score.shape)


def kept_by(
    score: Float[Tensor, "rows cols"], pattern: Pattern, *, per_row: bool
) -> Bool[Tensor, "rows cols"]:
    """What stays under `pattern`; a share is taken of each row, or of the matrix.

    ValueError for a share outside [0, 1], and as `check_n_of_m`.
    """
    if isinstance(pattern, tuple):
        return kept_n_of_m(score, *pattern)
    if per_row:
        return kept_per_row(score, pattern)
    return kept_best(score, kept_count(score.numel(), pattern))
