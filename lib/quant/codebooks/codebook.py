"""Codebooks: any 2^b levels, where a grid has evenly spaced ones.

    ŵ = c_q,   q = nearest level to w          cost = Σ (w - c_q)²

Where to put the levels: at quantiles (each is used equally often), or where the cost is
least (k-means in one dimension). Lloyd's iteration alternates

    cut halfway between neighbours        c_k = mean of the weights in cell k

and stops in a local optimum. On a line the best cells are intervals of the sorted
weights, so dynamic programming finds the global one: with D_k[j] the least cost of the
first j weights in k cells,

    D_k[j] = min_i  D_{k-1}[i] + cost(w_i … w_{j-1})

whose best i never falls as j rises; so each row takes n log n steps, not n².

Guarantees: Lloyd's cost never rises; the optimum's is no larger than any codebook's.
Read in order: `quantile_levels`, `lloyd`, `optimal_levels`, `fit_codebook`. Taught in
notebooks/05.
Sources: Lloyd 1982, "Least squares quantization in PCM"; Wu 1991, "Optimal quantization
by matrix searching"; for weights: Han et al. 2016, arXiv:1510.00149, section 3.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from lib.quant.uniform.grid import checked_matrix

METHODS = ("quantile", "kmeans", "optimal")


def nearest(
    w: Float[Tensor, "groups n"], levels: Float[Tensor, "groups k"]
) -> Int[Tensor, "groups n"]:
    """Index of the nearest of a group's ascending levels; a tie goes to the lower."""
    middles = (levels[:, :-1] + levels[:, 1:]) / 2
    return torch.searchsorted(middles.contiguous(), w.contiguous())


def quantile_levels(w: Float[Tensor, "groups n"], k: int) -> Float[Tensor, "groups k"]:
    """The middle quantile of each of k equally full cells: (i + ½)/k, i = 0 … k - 1."""
    at = (torch.arange(k, dtype=torch.float64, device=w.device) + 0.5) / k
    position = at * (w.shape[1] - 1)
    low = position.floor().long()
    high = (low + 1).clamp(max=w.shape[1] - 1)
    return torch.lerp(
        *(w.sort(1).values[:, i] for i in (low, high)), (position - low).to(w)
    )


def lloyd(
    w: Float[Tensor, "groups n"],
    levels: Float[Tensor, "groups k"],
    *,
    iterations: int = 100,
) -> Float[Tensor, "groups k"]:
    """Improve ascending levels until no weight changes its cell.

    On sorted weights a cell is an interval, so its mean is a difference of prefix sums
    and an iteration costs k log n, not k n. A cell without weights keeps its level.
    """
    ordered = w.double().sort(1).values
    sums = torch.nn.functional.pad(ordered.cumsum(1), (1, 0))  # (groups, n + 1)
    levels, ends = levels.double(), None
    for _ in range(iterations):
        middles = (levels[:, :-1] + levels[:, 1:]) / 2
        cuts = torch.searchsorted(ordered, middles, right=True)  # (groups, k - 1)
        before, ends = ends, torch.nn.functional.pad(cuts, (1, 0))
        ends = torch.nn.functional.pad(ends, (0, 1), value=w.shape[1])
        if before is not None and torch.equal(before, ends):
            break
        count = ends.diff(dim=1)
        mean = sums.gather(1, ends).diff(dim=1) / count.clamp(min=1)
        levels = torch.where(count > 0, mean, levels)
    return levels.to(w.dtype)


def optimal_levels(w: Float[Tensor, " n"], k: int) -> Float[Tensor, " k"]:
    """The k levels of least squared error over all codebooks, ascending.

    Exact, in k n log n steps over the distinct weights: a few seconds for k = 16 and
    100,000 of them. Fewer than k distinct weights fill up with copies of the largest.
    """
    values, counts = w.double().unique(return_counts=True)
    if len(values) <= k:
        return torch.cat([values, values[-1:].expand(k - len(values))]).to(w.dtype)
    shifted = values - (values * counts).sum() / counts.sum()  # less cancellation
    total = [
        torch.nn.functional.pad((counts * shifted**p).cumsum(0), (1, 0))
        for p in (0, 1, 2)
    ]

    def cost(i: Tensor, j: Tensor) -> Tensor:
        """Σ (w - mean)² over the distinct values i … j - 1."""
        n, s, q = (sums[j] - sums[i] for sums in total)
        return (q - s * s / n.clamp(min=1)).clamp(min=0)

    n = len(values)
    least = cost(torch.zeros(n + 1, dtype=torch.long), torch.arange(n + 1))
    starts = []
    for cells in range(2, k + 1):
        least, start = _next_row(least, cost, cells)
        starts.append(start)
    ends = [n]
    for start in reversed(starts):
        ends.append(int(start[ends[-1]]))
    cuts = torch.tensor([0, *reversed(ends)])
    mass = (total[0][cuts].diff(), (values * counts).cumsum(0))
    return (torch.nn.functional.pad(mass[1], (1, 0))[cuts].diff() / mass[0]).to(w.dtype)


def _next_row(least: Tensor, cost, cells: int) -> tuple[Tensor, Tensor]:
    """One row of the dynamic program: D_k and the start of its last cell, from D_{k-1}.

    The best start is monotone in j: fix it for the middle j, and both halves search on
    their own side of it. All j of one depth are searched at once, their candidates laid
    end to end.
    """
    n = len(least) - 1
    row, start = torch.full_like(least, torch.inf), torch.zeros(n + 1, dtype=torch.long)
    low_j, high_j = torch.tensor([cells]), torch.tensor([n])  # spans still to solve
    low_i, high_i = torch.tensor([cells - 1]), torch.tensor([n - 1])
    while len(low_j):
        j = (low_j + high_j) // 2
        last = torch.minimum(high_i, j - 1)
        size = last - low_i + 1
        owner = torch.arange(len(j)).repeat_interleave(size)
        first = size.cumsum(0) - size
        i = low_i[owner] + torch.arange(len(owner)) - first[owner]
        value = least[i] + cost(i, j[owner])
        best = torch.segment_reduce(value, "min", lengths=size)
        hits = (value == best[owner]).nonzero().flatten()
        chosen = last.scatter_reduce(0, owner[hits], i[hits], "amin")
        row[j], start[j] = best, chosen
        spans = [
            torch.stack([low_j, j - 1, low_i, chosen]),
            torch.stack([j + 1, high_j, chosen, high_i]),
        ]
        spans = torch.cat(spans, 1)
        low_j, high_j, low_i, high_i = spans[:, spans[0] <= spans[1]]
    return row, start


@dataclass(frozen=True, eq=False)
class Codebook:
    """The levels of every group of a matrix: (rows · groups a row, 2^b), ascending.

    `group` is "tensor", "channel" (a row) or a number of columns; `shape` the matrix's.
    """

    levels: Float[Tensor, "groups k"]
    group: int | str
    shape: tuple[int, int]

    def bits_per_weight(self, *, level_bits: int = 16) -> float:
        """Bits stored for a weight, the codebooks included."""
        groups, k = self.levels.shape
        rows, cols = self.shape
        return (k - 1).bit_length() + groups * k * level_bits / (rows * cols)


def fit_codebook(
    w: Float[Tensor, "rows cols"],
    *,
    bits: int,
    group: int | str = "tensor",
    method: str = "kmeans",
) -> Codebook:
    """Fit 2^b levels to each group of w by `method`: quantile, kmeans or optimal.

    "kmeans" is Lloyd's iteration from the quantiles. ValueError for bits outside 1 to
    8, another method, a group that does not divide the columns, NaN or infinity.
    """
    if bits not in range(1, 9):
        raise ValueError(f"bits={bits} is not in 1 to 8")
    if method not in METHODS:
        raise ValueError(f"method={method!r} is not one of {', '.join(METHODS)}")
    runs = _runs(checked_matrix(w), group)
    if method == "optimal":
        levels = torch.stack([optimal_levels(run, 2**bits) for run in runs])
    else:
        levels = quantile_levels(runs, 2**bits)
        if method == "kmeans":
            levels = lloyd(runs, levels)
    return Codebook(levels, group, (w.shape[0], w.shape[1]))


def encode(w: Float[Tensor, "rows cols"], book: Codebook) -> UInt8[Tensor, "rows cols"]:
    """The index of each weight's nearest level.

    ValueError for a matrix of another shape than the codebook's, NaN or infinity.
    """
    if tuple(w.shape) != book.shape:
        raise ValueError(f"w {tuple(w.shape)} is not of the codebook's {book.shape}")
    w = checked_matrix(w)
    return nearest(_runs(w, book.group), book.levels).to(torch.uint8).view(w.shape)


def decode(
    codes: UInt8[Tensor, "rows cols"], book: Codebook
) -> Float[Tensor, "rows cols"]:
    """The levels that the codes name."""
    runs = _runs(codes, book.group).long()
    return book.levels.gather(1, runs).view(codes.shape)


def fake_codebook(
    w: Float[Tensor, "rows cols"],
    *,
    bits: int,
    group: int | str = "tensor",
    method: str = "kmeans",
) -> Float[Tensor, "rows cols"]:
    """Round w onto its own codebooks and back: ŵ, in the dtype of w."""
    book = fit_codebook(w, bits=bits, group=group, method=method)
    return decode(encode(w, book), book).to(w.dtype)


def _runs(w: Tensor, group: int | str) -> Tensor:
    """View w as (groups, weights of a group)."""
    if group == "tensor":
        return w.reshape(1, -1)
    if group == "channel":
        return w
    if isinstance(group, int) and group > 0 and w.shape[1] % group == 0:
        return w.reshape(-1, group)
    raise ValueError(f"group={group!r} does not divide the {w.shape[1]} columns of w")
