"""Uniform quantization: map each group of weights onto 2^b evenly spaced levels.

    q = clip(round(w / s) + z, low, high)        ŵ = s (q - z)        |w - ŵ| <= s / 2

    asymmetric   s = (β - α) / (2^b - 1)    z = round(-α / s)    q in 0 … 2^b - 1
    symmetric    s = A / (2^(b-1) - 1)      z = 0                |q| <= 2^(b-1) - 1

with α = min(w, 0), β = max(w, 0), A = max|w| of the group. Three guarantees:
- 0 is a level, exactly, for α <= 0 <= β and z is an integer; -0.0 comes back as +0.0.
- Every w in [α, β] moves at most s / 2, although z is rounded: the levels are the
  multiples of s from -sz to s(2^b - 1 - z), which stop at most s / 2 short of α or β.
- The levels are fixed points: q(ŵ) = q.
Read in order: `fit_range`, `grid_from_range`, `quantize`, `dequantize`; then `pack` in
packing.py. Taught in notebooks/03.
Source: Jacob et al. 2018, arXiv:1712.05877, section 2.1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer, Shaped
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Grid:
    """The levels s (q - z), low <= q <= high, of every group of a matrix.

    A matrix of `rows` x `cols` has `groups` runs of cols / groups columns in each row;
    `scale` and `zero` are (rows, groups), or (1, groups) where all rows share them: per
    tensor (1, 1), per channel (rows, 1). `scale` is the step, in the weights' units.
    ValueError for other than 2 to 256 codes, `scale` and `zero` of different shapes, a
    scale that is not positive, and a zero outside the codes.
    """

    scale: Float[Tensor, "rows groups"]
    zero: Integer[Tensor, "rows groups"]
    low: int
    high: int

    def __post_init__(self):
        if not 0 < self.high - self.low < 256:
            raise ValueError(f"codes {self.low} to {self.high} are not 2 to 256 levels")
        if self.scale.ndim != 2 or self.scale.shape != self.zero.shape:
            raise ValueError(
                f"scale {tuple(self.scale.shape)} and zero {tuple(self.zero.shape)} "
                "must both be (rows, groups)"
            )
        if torch.compiler.is_compiling():  # values are not there yet; shapes are
            return
        if not (self.scale.isfinite() & (self.scale > 0)).all():
            raise ValueError(f"a scale is not positive: {self.scale.min().item()}")
        if not ((self.zero >= self.low) & (self.zero <= self.high)).all():
            raise ValueError(
                f"zero from {self.zero.min().item()} to {self.zero.max().item()} "
                f"is no code from {self.low} to {self.high}"
            )

    @property
    def bits(self) -> int:
        """Bits that hold one code."""
        return (self.high - self.low).bit_length()

    def shifted(self, by: int) -> "Grid":
        """The same levels, codes moved by `by`: int8 codes are uint8 codes - 128."""
        return Grid(self.scale, self.zero + by, self.low + by, self.high + by)

    def runs_of(
        self, w: Shaped[Tensor, "rows cols"]
    ) -> Shaped[Tensor, "rows groups k"]:
        """View w as its groups, beside which `scale[..., None]` broadcasts.

        ValueError where w has other rows, or columns that no groups divide.
        """
        rows, groups = self.scale.shape
        if rows not in (1, w.shape[0]) or w.shape[1] % groups:
            raise ValueError(
                f"a grid of {rows}x{groups} groups cannot span w {_size(w)}"
            )
        return w.unflatten(1, (groups, -1))


def fit_grid(
    w: Float[Tensor, "rows cols"],
    *,
    bits: int,
    group: int | str,
    symmetric: bool = False,
    clip: float | Float[Tensor, "#rows #groups"] = 1.0,
) -> Grid:
    """Fit one grid to each group of w: "tensor", "channel" (a row), or `group` columns.

    `clip` in (0, 1] keeps that share of each range (one share, or one a group) and lets
    the rest saturate: a smaller step for most weights, a larger error for the extremes.
    Half-precision w is widened to float32 first. ValueError for bits outside 1 to 8, a
    group that does not divide the columns, NaN, infinity, no elements, integer w.
    """
    clip = torch.as_tensor(clip)
    if not ((clip > 0) & (clip <= 1)).all():
        raise ValueError(
            f"clip={clip.min().item()} to {clip.max().item()}, not in (0, 1]"
        )
    low, high = fit_range(w, group=group)
    clip = clip.to(low)
    return grid_from_range(low * clip, high * clip, bits=bits, symmetric=symmetric)


def fit_range(
    w: Float[Tensor, "rows cols"], *, group: int | str
) -> tuple[Float[Tensor, "r groups"], Float[Tensor, "r groups"]]:
    """Smallest and largest value of each group, and 0, which every range includes.

    ValueError as in `fit_grid`.
    """
    w = checked_matrix(w)
    if group == "tensor":
        runs = w.reshape(1, 1, -1)
    elif group == "channel":
        runs = w.unsqueeze(1)
    elif isinstance(group, int) and group > 0 and w.shape[1] % group == 0:
        runs = w.unflatten(1, (-1, group))  # (rows, groups, group)
    else:
        raise ValueError(f"group={group!r} does not divide the columns of w {_size(w)}")
    return runs.amin(-1).clamp(max=0), runs.amax(-1).clamp(min=0)


def grid_from_range(
    low: Float[Tensor, "rows groups"],
    high: Float[Tensor, "rows groups"],
    *,
    bits: int,
    symmetric: bool = False,
) -> Grid:
    """Lay 2^b levels (symmetric: 2^b - 1) over [low, high], where low <= 0 <= high.

    An all-zero group gets step 1. A step below the smallest normal number is raised to
    it: subnormal steps have too few digits to divide by. ValueError where the levels
    overflow, and for 1 symmetric bit, whose only code is 0 (see lecture 08 instead).
    """
    if bits not in range(1 + symmetric, 9):
        raise ValueError(
            f"bits={bits} with symmetric={symmetric} is not in {1 + symmetric} to 8"
        )
    if not ((low <= 0) & (high >= 0)).all():
        raise ValueError(
            f"a range must include 0: low up to {low.max().item()}, "
            f"high down to {high.min().item()}"
        )
    if symmetric:
        levels = 2 ** (bits - 1) - 1
        step = torch.maximum(-low, high) / levels
    else:
        levels = 2**bits - 1
        step = high / levels - low / levels  # high - low may overflow; this does not
    step = step.clamp(min=torch.finfo(step.dtype).tiny)
    step = torch.where(low == high, 1.0, step)
    if not (step * levels).isfinite().all():
        raise ValueError(
            f"{levels} steps from {low.min().item()} to {high.max().item()} overflow "
            f"{str(step.dtype).removeprefix('torch.')}: scale w down first"
        )
    if symmetric:
        return Grid(step, torch.zeros_like(step, dtype=torch.int32), -levels, levels)
    zero = (-low / step).round().clamp(0, levels).to(torch.int32)
    return Grid(step, zero, 0, levels)


def quantize(w: Float[Tensor, "rows cols"], grid: Grid) -> Integer[Tensor, "rows cols"]:
    """q = clip(round(w / s) + z, low, high), ties to even; uint8 or, signed, int8.

    ValueError for what is no finite floating-point matrix, or not of the grid's shape.
    """
    runs = grid.runs_of(checked_matrix(w))
    codes = (runs / grid.scale[..., None]).round() + grid.zero[..., None]
    codes = codes.clamp(grid.low, grid.high).flatten(1)
    return codes.to(torch.uint8 if grid.low >= 0 else torch.int8)


def dequantize(
    codes: Integer[Tensor, "rows cols"], grid: Grid
) -> Float[Tensor, "rows cols"]:
    """ŵ = s (q - z), in the dtype of the scale.

    ValueError for codes that are no integer matrix, leave the grid's, or do not fit it.
    """
    if codes.is_floating_point() or codes.dtype == torch.bool or codes.ndim != 2:
        raise ValueError(
            f"codes are {codes.dtype} {_size(codes)}: not an integer matrix"
        )
    known = codes.numel() and not torch.compiler.is_compiling()
    if known and not (grid.low <= codes.min() <= codes.max() <= grid.high):
        raise ValueError(
            f"codes from {codes.min().item()} to {codes.max().item()} leave the grid's "
            f"{grid.low} to {grid.high}"
        )
    steps = grid.runs_of(codes).to(torch.int32) - grid.zero[..., None]
    return (steps * grid.scale[..., None]).flatten(1)


def fake_quantize(
    w: Float[Tensor, "rows cols"],
    *,
    bits: int,
    group: int | str,
    symmetric: bool = False,
    clip: float | Float[Tensor, "#rows #groups"] = 1.0,
) -> Float[Tensor, "rows cols"]:
    """Round w onto its own grid and back: ŵ, in the dtype of w."""
    grid = fit_grid(w, bits=bits, group=group, symmetric=symmetric, clip=clip)
    return dequantize(quantize(w, grid), grid).to(w.dtype)


def search_clip(
    w: Float[Tensor, "rows cols"],
    *,
    bits: int,
    group: int | str,
    symmetric: bool = False,
    shares: int = 20,
) -> Float[Tensor, "r groups"]:
    """The share of each group's range whose grid has the least squared error.

    Tries n = `shares` of them: 1, 1 - 1/n, …, 1/n. Never worse than no clipping, which
    is the first. ValueError as in `fit_grid`.
    """
    low, high = fit_range(w, group=group)
    w = checked_matrix(w)
    best, least = torch.ones_like(low), torch.full_like(low, torch.inf)
    for k in range(shares, 0, -1):
        clip = k / shares
        grid = grid_from_range(low * clip, high * clip, bits=bits, symmetric=symmetric)
        error = dequantize(quantize(w, grid), grid) - w
        error = grid.runs_of(error).square().sum(-1)  # (rows, groups)
        if group == "tensor":
            error = error.sum(0, keepdim=True)
        best = torch.where(error < least, clip, best)
        least = torch.minimum(error, least)
    return best


def bits_per_weight(
    shape: tuple[int, int],
    *,
    bits: int,
    group: int | str,
    symmetric: bool = False,
    scale_bits: int = 16,
) -> float:
    """Bits stored for a weight, overheads included: b + (scale + zero) / group.

    A zero point is itself a code of `bits` bits; symmetric grids store none. ValueError
    for a group that does not divide the columns.
    """
    rows, cols = shape
    size = {"tensor": rows * cols, "channel": cols}.get(group, group)
    if (
        min(rows, cols) < 1
        or not isinstance(size, int)
        or size < 1
        or (group != "tensor" and cols % size)
    ):
        raise ValueError(
            f"group={group!r} does not divide the columns of {rows}x{cols}"
        )
    return bits + (scale_bits + (0 if symmetric else bits)) / size


def checked_matrix(w: Tensor) -> Float[Tensor, "rows cols"]:
    """w in float32 (float64 stays), or a ValueError that says why it has no grid."""
    if w.ndim != 2 or not w.numel():
        raise ValueError(f"w has shape {_size(w)}: not a matrix with elements")
    if not w.is_floating_point():
        raise ValueError(f"w is {w.dtype}: convert it to floating point first")
    if not (finite := w.isfinite()).all():
        raise ValueError(f"w holds {(~finite).sum().item()} NaN or infinite values")
    return w if w.dtype == torch.float64 else w.float()


def _size(w: Tensor) -> str:
    return "x".join(map(str, w.shape)) or "scalar"
