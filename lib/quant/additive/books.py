"""The codebooks and scales that suit the codes best, by least squares with H.

    minimize over C   f(C) = tr(E H Eᵀ),   E = W − Ŵ(C),   Ŵ linear in C

A quadratic in M 2^B d unknowns, whose matrix is large and need not be formed: its
product with a change of the books is "make Ŵ of the change, multiply by H, add up for
each entry what pulls at it". Conjugate gradients ask for nothing else, and every step
of theirs lowers f. A row's scale has a closed form, s_i = (w_i H ûᵢᵀ) / (û_i H ûᵢᵀ),
where û_i are the sums of row i without their scale.

Guarantee: neither raises f.

Read in order: `calibrated_error`, `fit_books`, `fit_scale`.
Sources: Hestenes & Stiefel 1952; Egiazarian et al. 2024, arXiv:2401.06118, section 3.1,
phase 2 (which takes steps of Adam instead).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.quant.additive.matrix import sum_of_entries


def calibrated_error(
    error: Float[Tensor, "rows cols"], hessian: Float[Tensor, "cols cols"]
) -> float:
    """tr(E H Eᵀ), in the units of w² times those of H."""
    return ((error @ hessian) * error).sum().item()


def fit_books(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    codes: Int[Tensor, "rows groups books"],
    books: Float[Tensor, "books entries d"],
    scale: Float[Tensor, " rows"],
    *,
    steps: int = 10,
) -> Float[Tensor, "books entries d"]:
    """Books of smaller tr(E H Eᵀ), by `steps` of conjugate gradients from these."""

    def weights(books: Tensor) -> Tensor:
        return scale[:, None] * sum_of_entries(codes, books).flatten(1)

    books = books.clone()
    left = _gathered(scale[:, None] * ((w - weights(books)) @ hessian), codes, books)
    direction, size = left, left.square().sum()
    enough = torch.finfo(w.dtype).eps * size  # what is below is rounding
    for _ in range(steps):
        if size <= enough:
            break
        product = _gathered(
            scale[:, None] * (weights(direction) @ hessian), codes, books
        )
        step = size / (direction * product).sum()
        books += step * direction
        left = left - step * product
        before, size = size, left.square().sum()
        direction = left + size / before * direction
    return books


def _gathered(
    pull: Float[Tensor, "rows cols"], codes: Tensor, books: Tensor
) -> Float[Tensor, "books entries d"]:
    """What pulls at each entry: the sum over all groups that it is a part of."""
    parts = pull.reshape(-1, books.shape[2])
    total = torch.zeros_like(books)
    for book, code in zip(total, codes.flatten(0, 1).T, strict=True):
        book.index_add_(0, code, parts)
    return total


def fit_scale(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    sums: Float[Tensor, "rows cols"],
    scale: Float[Tensor, " rows"],
) -> Float[Tensor, " rows"]:
    """The scale of least error for each row; a row whose sums are 0 keeps its own."""
    pulled = sums @ hessian
    size = (pulled * sums).sum(1)
    return torch.where(size > 0, (pulled * w).sum(1) / size, scale)
