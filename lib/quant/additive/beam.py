"""Which entries to add up: a beam search over the codes of one group of columns.

Of E = W − Ŵ only group g is free. With H_gg = L Lᵀ, completing the square,

    tr(E H Eᵀ) = Σ_rows ‖(t − ŵ_g) L‖² + const      t = ŵ_g + (E H)_g H_gg⁻¹

so that a row's best sum is the one nearest to t in the metric L. All sums are 2^(M B);
the search changes one code at a time, from the codes as they are, and keeps the `width`
best. Keeping every code is among the choices, so the objective never rises.

Read in order: `nearest_sums`, `search_codes`.
Source: Babenko & Lempitsky 2014, "Additive quantization"; with H: Egiazarian et al.
2024, arXiv:2401.06118, section 3.1, phase 1.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.quant.additive.matrix import sum_of_entries

PORTION = 2**24  # scores that are held at once


def nearest_sums(
    target: Float[Tensor, "n d"],
    books: Float[Tensor, "books entries d"],
    codes: Int[Tensor, "n books"],
    *,
    width: int = 8,
) -> Int[Tensor, "n books"]:
    """Codes whose sums lie near the targets: no farther than those that were given.

    Book by book, each code of each kept choice is tried with every entry, and the
    `width` choices of least ‖t − sum‖² are kept. ValueError for a width below 1.
    """
    if width < 1:
        raise ValueError(f"width={width} must be at least 1")
    portion = max(1, PORTION // (width * books.shape[1]))
    parts = zip(target.split(portion), codes.split(portion), strict=True)
    return torch.cat([_beam(t, books, c, width) for t, c in parts])


def _beam(
    target: Tensor, books: Tensor, codes: Tensor, width: int
) -> Int[Tensor, "n books"]:
    beam = codes[:, None]  # (n, kept, books)
    left = target[:, None] - sum_of_entries(beam, books)  # (n, kept, d)
    for m, book in enumerate(books):
        without = left + book[beam[..., m]]
        # ‖r − c‖² = ‖r‖² − 2 r·c + ‖c‖²
        score = without.square().sum(-1, keepdim=True) - 2 * without @ book.T
        score += book.square().sum(1)
        keep = 1 if m == len(books) - 1 else min(width, score[0].numel())
        best = score.flatten(1).topk(keep, largest=False).indices
        parent, entry = best // len(book), best % len(book)
        beam = beam.gather(1, parent[..., None].expand(-1, -1, len(books))).clone()
        beam[..., m] = entry
        left = without.gather(1, parent[..., None].expand(-1, -1, left.shape[2]))
        left = left - book[entry]
    return beam[:, 0]


def search_codes(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    codes: Int[Tensor, "rows groups books"],
    books: Float[Tensor, "books entries d"],
    scale: Float[Tensor, " rows"],
    *,
    width: int = 8,
) -> Int[Tensor, "rows groups books"]:
    """One pass of the beam over all groups: codes whose tr(E H Eᵀ) is no larger.

    All rows at once, group after group, each with the earlier ones' new codes in E.
    ValueError where a block of H on its diagonal is not positive definite.
    """
    codes, d = codes.clone(), books.shape[2]
    error = w - scale[:, None] * sum_of_entries(codes, books).flatten(1)
    for group in range(codes.shape[1]):
        span = slice(group * d, (group + 1) * d)
        lower, failed = torch.linalg.cholesky_ex(hessian[span, span])
        if failed:
            raise ValueError(
                f"H of columns {span.start} to {span.stop - 1} is singular"
            )
        now = w[:, span] - error[:, span]
        pull = torch.cholesky_solve((error @ hessian[:, span]).T, lower).T
        found = nearest_sums(
            (now + pull) / scale[:, None] @ lower,
            books @ lower,
            codes[:, group],
            width=width,
        )
        codes[:, group] = found
        sums = sum_of_entries(found[:, None], books)[:, 0]
        error[:, span] = w[:, span] - scale[:, None] * sums
    return codes
