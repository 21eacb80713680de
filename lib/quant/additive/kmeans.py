"""Residual k-means: the first codebook takes the points, the next what it leaves.

    r_1 = x      b_m = the entry of book m nearest to r_m      r_m+1 = r_m − c_m(b_m)

Lloyd's iteration in d dimensions: every point to its nearest entry, every entry to the
mean of its points. Guarantee: neither step raises Σ ‖x − c(b)‖², and another book
lowers what the books before it left.

Read in order: `nearest_entry`, `kmeans`, `residual_kmeans`.
Sources: Lloyd 1982; residual codebooks: Chen et al. 2010; as AQLM's beginning:
Egiazarian et al. 2024, arXiv:2401.06118, section 3.1.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

PORTION = 2**24  # distances that are held at once


def nearest_entry(
    x: Float[Tensor, "n d"], book: Float[Tensor, "entries d"]
) -> Int[Tensor, " n"]:
    """The entry of least ‖x − c‖² for each point; a tie goes to the first."""
    half = book.square().sum(1) / 2
    parts = x.split(max(1, PORTION // len(book)))
    return torch.cat(
        [torch.addmm(half, part, book.T, alpha=-1).argmin(1) for part in parts]
    )


def kmeans(
    x: Float[Tensor, "n d"],
    entries: int,
    *,
    iterations: int = 10,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "entries d"]:
    """A codebook by Lloyd's iteration from `entries` of the points, drawn at random.

    An entry without points stays where it is. ValueError for no entries. Fewer points
    than entries are drawn with repetition.
    """
    if entries < 1:
        raise ValueError(f"entries={entries} must be at least 1")
    draw = torch.Generator().manual_seed(0) if generator is None else generator
    order = torch.randperm(len(x), generator=draw)
    book = x[order.repeat(-(-entries // len(x)))[:entries].to(x.device)]
    for _ in range(iterations):
        nearest = nearest_entry(x, book)
        sums = torch.zeros_like(book).index_add_(0, nearest, x)
        count = nearest.bincount(minlength=entries)[:, None]
        book = torch.where(count > 0, sums / count.clamp(min=1), book)
    return book


def residual_kmeans(
    x: Float[Tensor, "n d"],
    books: int,
    entries: int,
    *,
    iterations: int = 10,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "books entries d"], Int[Tensor, "n books"]]:
    """Codebooks, each of what the ones before it left, and the codes of the points.

    ValueError for no books and no entries.
    """
    if books < 1:
        raise ValueError(f"books={books} must be at least 1")
    left, found, codes = x.clone(), [], []
    for _ in range(books):
        book = kmeans(left, entries, iterations=iterations, generator=generator)
        code = nearest_entry(left, book)
        left -= book[code]
        found.append(book)
        codes.append(code)
    return torch.stack(found), torch.stack(codes, 1)
