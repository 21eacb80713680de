"""Which range of the activations deserves levels? Ask calibration data, in one pass.

    static    observe batches, keep one grid for ever      Histogram, then static_grid
    dynamic   fit a grid to each token as it arrives       fit_grid(x, group="channel")

Four rules read a static range [α, β] from the same histogram of what was seen:

    minmax       all of it: α = min, β = max
    percentile   the middle share p: the quantiles (1 - p) / 2 and (1 + p) / 2
    mse          argmin_t Σ (x - x̂_t)²         x̂_t: x on the grid of [α, β] ∩ [-t, t]
    kl           argmin_t D_KL(P_t ‖ Q_t)      P_t, Q_t: before and after that grid

Guarantee: a histogram depends neither on the order of its data nor on their batches. By
their own measure, on the histogram, `mse` and `kl` never do worse than `minmax`.
Read in order: `Histogram`, `percentile_range`, `error_of`, `divergence_of`,
`static_grid`. Taught in notebooks/03.
Sources: kl is Migacz 2017, "8-bit inference with TensorRT" (GTC), on signed bins; for
mse see Nagel et al. 2021, arXiv:2106.08295, section 3.1.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from lib.quant.uniform.grid import (
    Grid,
    checked_matrix,
    dequantize,
    grid_from_range,
    quantize,
)

HALF = 2048  # bins on each side of 0
STRIDE = 8  # thresholds t are tried at every eighth bin


class Histogram:
    """Counts of a stream in 4,096 equal bins over (-R, R), its minimum and maximum.

    R is the least power of two above every |x| seen. Where R doubles, bins merge two by
    two along their own edges: no count is ever estimated, so order cannot matter.
    """

    def __init__(self):
        self.low = self.high = 0.0  # a range includes 0
        self.exponent = -1000  # R = 2^exponent; so small until something but 0 comes
        self.counts: Int64[Tensor, " bins"] = torch.zeros(2 * HALF, dtype=torch.int64)

    @property
    def width(self) -> float:
        """Width of a bin; the edges are its multiples from -2048 to 2048."""
        return 2.0**self.exponent / HALF

    @property
    def centres(self) -> Float64[Tensor, " bins"]:
        """The middle of each bin."""
        return (torch.arange(-HALF, HALF, dtype=torch.float64) + 0.5) * self.width

    def observe(self, x: Float[Tensor, "..."]) -> "Histogram":
        """Count a batch of any shape; ValueError for NaN, infinity, integers, none."""
        x = checked_matrix(x.detach().reshape(1, -1)).flatten().double()
        low, high = (end.item() for end in x.aminmax())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if peak := max(-low, high):  # zeros have no exponent, and fit in any range
            self._widen(math.frexp(peak)[1])
        index = (x / self.width).floor().long() + HALF  # exact: width is a power of two
        self.counts += torch.bincount(index.cpu(), minlength=2 * HALF)
        return self

    def _widen(self, exponent: int) -> None:
        """Merge 2^k bins into one, where R must grow by 2^k."""
        k = max(exponent - self.exponent, 0)
        if k and self.counts.any():
            index = (torch.arange(-HALF, HALF) >> min(k, 62)) + HALF  # >> rounds down
            self.counts = torch.zeros_like(self.counts).index_add(0, index, self.counts)
        self.exponent += k

    def cut(self, m: int) -> tuple[slice, float, float]:
        """The bins seen that lie within m bins of 0, and the ends of their range."""
        first, last = (math.floor(end / self.width) for end in (self.low, self.high))
        inside = slice(max(first, -m) + HALF, min(last + 1, m) + HALF)
        return inside, max(self.low, -m * self.width), min(self.high, m * self.width)


def minmax_range(seen: Histogram) -> tuple[float, float]:
    """All that was seen. One outlier sets the step for everybody."""
    return seen.low, seen.high


def percentile_range(seen: Histogram, *, share: float = 0.9999) -> tuple[float, float]:
    """The middle `share` of what was seen, and 0; exact to one bin, outwards.

    ValueError for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share} is not in (0, 1]")
    below = seen.counts.cumsum(0)
    total = below[-1].item()
    tail = (1 - share) / 2 * total
    first = torch.searchsorted(below, tail, right=True).item()
    last = torch.searchsorted(below, total - tail).item()
    low, high = (first - HALF) * seen.width, (last + 1 - HALF) * seen.width
    return min(max(low, seen.low), 0.0), max(min(high, seen.high), 0.0)


def error_of(seen: Histogram, m: int, *, bits: int, symmetric: bool) -> float:
    """Σ (x - x̂)² on the grid of what lies within m bins of 0: rounding, clipping."""
    _, low, high = seen.cut(m)
    grid = range_grid(low, high, bits=bits, symmetric=symmetric)
    x = seen.centres[None]
    error = (x - dequantize(quantize(x, grid), grid).double()).square()
    return (error * seen.counts).sum().item()


def divergence_of(seen: Histogram, m: int, *, bits: int, symmetric: bool) -> float:
    """D_KL(P ‖ Q) in nats between the values kept at threshold m and their codes.

    P: the bins within the threshold; what was cut off joins the outermost of them that
    hold something (TensorRT: the outermost, where an empty one makes D infinite).
    Q: the same bins without those tails, each code's count spread evenly over the bins
    that hold something and round to it. So clipping costs through the ends, rounding
    through the spreading. Infinite where nothing is left, or where there are fewer bins
    than codes, since Q would then be P unrounded.
    """
    inside, low, high = seen.cut(m)
    kept = seen.counts[inside].double()
    filled = kept.nonzero().flatten()
    if not len(filled) or (len(kept) < 2**bits and m < HALF):
        return math.inf
    grid = range_grid(low, high, bits=bits, symmetric=symmetric)
    code = quantize(seen.centres[None, inside], grid)[0].long() - grid.low
    p = kept.clone()
    p[filled[0]] += seen.counts[: inside.start].sum()
    p[filled[-1]] += seen.counts[inside.stop :].sum()
    per_code = torch.zeros(2, 2**bits, dtype=torch.float64)
    per_code.index_add_(1, code, torch.stack([kept, (kept > 0).double()]))
    q = torch.where(kept > 0, (per_code[0] / per_code[1])[code], 0.0)
    p, q = p / p.sum(), q / q.sum()
    return torch.where(p > 0, p * (p / q).log(), 0.0).sum().item()


def least_range(
    seen: Histogram, cost: Callable[..., float], *, bits: int, symmetric: bool
) -> tuple[float, float]:
    """The range [α, β] ∩ [-t, t] of least cost; among equals the widest."""
    thresholds = range(HALF, 0, -STRIDE)
    best = min(thresholds, key=lambda m: cost(seen, m, bits=bits, symmetric=symmetric))
    return seen.cut(best)[1:]


def static_grid(
    seen: Histogram,
    rule: str = "minmax",
    *,
    bits: int = 8,
    symmetric: bool = False,
    share: float = 0.9999,
) -> Grid:
    """One grid for all inputs, by rule "minmax", "percentile" (`share`), "mse" or "kl".

    ValueError for another rule, or for a histogram that has seen nothing.
    """
    if not seen.counts.any():
        raise ValueError("the histogram holds 0 values: observe calibration data first")
    costs = {"mse": error_of, "kl": divergence_of}
    if rule in costs:
        ends = least_range(seen, costs[rule], bits=bits, symmetric=symmetric)
    elif rule == "percentile":
        ends = percentile_range(seen, share=share)
    elif rule == "minmax":
        ends = minmax_range(seen)
    else:
        raise ValueError(f"rule={rule!r} is none of minmax, percentile, mse, kl")
    return range_grid(*ends, bits=bits, symmetric=symmetric)


def range_grid(low: float, high: float, *, bits: int, symmetric: bool = False) -> Grid:
    """The (1, 1) float32 grid over [low, high]."""
    low, high = torch.tensor([[low]]).float(), torch.tensor([[high]]).float()
    return grid_from_range(low, high, bits=bits, symmetric=symmetric)
