"""SpQR: keep the few weights that would hurt apart, and quantize the rest, tightly.

    s_ij = (w_ij − ŵ_ij)² / U_jj²            what rounding w_ij costs after compensation
    outlier: leaving w_ij out of its group lowers the group's cost by more than τ, or
             w_ij itself costs more than τ;    τ = threshold · mean(var_j(w) / U_jj²)
    ŵ = s (q − z)  with  s = m_s + d_s q_s,  z = m_z + d_z q_z       (both real)

The decks write s_ij = min_{W'} ‖W X − W' X‖² with w'_ij quantized; the minimum is the
expression above, with U from GPTQ. Groups are so small (16) that their scales and zeros
would cost 2 bits a weight in fp16; so those are quantized too, to 3 bits, 16 rows at a
time. At 3 bits that makes 3 + 6/16 + 64/256 = 3.625 bits, and 32 more for each outlier.

Read in order: `SpQR`, `spqr`, `_group_outliers`, `Bilevel`.  Taught in notebooks/06.
Source: Dettmers et al. 2023, arXiv:2306.03078, section 4 and algorithm 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from lib.quant.hessian import Hessian
from lib.quant.method import Method
from lib.quant.solvers.gptq import LoopSettings, cancel_errors, ordered_factor
from lib.quant.uniform.grid import checked_matrix
from lib.quant.uniform.grouped import LEAST_SCALE, index_dtype

VALUE_BITS = 16  # an outlier, in fp16, beside the index of its column
POINTER_BITS = 32  # where each row's outliers begin


@dataclass(frozen=True)
class SpQR(LoopSettings, Method):
    """Settings: 3 bits in groups of 16; scales and zeros to 3 bits in runs of 16 rows.

    `threshold` is relative: at infinity there are no outliers. ValueError for bits
    outside 1 to 8, a group below 2, a run of no rows, a threshold that is not positive.
    """

    bits: int = 3
    group: int = 16
    constant_bits: int = 3
    constant_rows: int = 16
    threshold: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits not in range(1, 9) or self.constant_bits not in range(1, 9):
            raise ValueError(f"bits={self.bits}, constant_bits={self.constant_bits}")
        if self.group < 2 or self.constant_rows < 1:
            raise ValueError(f"group={self.group}, constant_rows={self.constant_rows}")
        if not self.threshold > 0:
            raise ValueError(f"threshold={self.threshold} must be above 0")

    def check(self, rows: int, cols: int) -> None:
        """ValueError for groups that do not divide columns, or runs not the rows."""
        if cols % self.group:
            raise ValueError(f"group={self.group} does not divide the {cols} columns")
        if rows % self.constant_rows:
            runs = self.constant_rows
            raise ValueError(f"constant_rows={runs} does not divide {rows} rows")

    def quantize(self, w: Tensor, inputs: Hessian) -> "SparseGrouped":
        """Quantize a layer's weight for the inputs that `inputs` has seen."""
        return spqr(w, inputs.matrix, self)


@dataclass(frozen=True, eq=False)
class Bilevel:
    """Constants, themselves quantized: c = low + step · code in each run of rows."""

    codes: UInt8[Tensor, "rows groups"]
    low: Float[Tensor, "runs groups"]  # fp16 numbers
    step: Float[Tensor, "runs groups"]  # fp16 numbers
    bits: int

    @classmethod
    def fit(cls, c: Float[Tensor, "rows groups"], bits: int, rows: int) -> "Bilevel":
        """Min to max of each run of `rows` rows onto 2^bits levels.

        ValueError where `rows` does not divide the rows of c.
        """
        if c.shape[0] % rows:
            raise ValueError(f"constant_rows={rows} does not divide {c.shape[0]} rows")
        runs = c.unflatten(0, (-1, rows))  # (runs, rows, groups)
        low = runs.amin(1).half().to(c.dtype)
        step = ((runs.amax(1) - low) / (2**bits - 1)).half().to(c.dtype)
        step = step.clamp(min=LEAST_SCALE)
        codes = ((runs - low[:, None]) / step[:, None]).round().clamp(0, 2**bits - 1)
        return cls(codes.flatten(0, 1).to(torch.uint8), low, step, bits)

    def values(self) -> Float[Tensor, "rows groups"]:
        """The constants that are used."""
        rows = len(self.codes) // len(self.low)
        low, step = (t.repeat_interleave(rows, 0) for t in (self.low, self.step))
        return low + step * self.codes

    @property
    def storage_bits(self) -> int:
        """Bits of codes, lows and steps."""
        return self.bits * self.codes.numel() + 32 * self.low.numel()


@dataclass(frozen=True, eq=False)
class SparseGrouped:
    """Codes on bilevel grids, and outliers row by row (compressed sparse rows)."""

    codes: UInt8[Tensor, "rows cols"]  # in the matrix's own column order
    scale: Bilevel
    zero: Bilevel
    bits: int
    starts: Int[Tensor, " rows_and_one"]  # row i owns outliers starts[i] … starts[i+1]
    columns: Int[Tensor, " outliers"]
    outliers: Float[Tensor, " outliers"]  # fp16 numbers
    order: Int[Tensor, " cols"] | None = None

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """ŵ = s (q − z), and the outliers as they are."""
        codes = self.codes if self.order is None else self.codes[:, self.order]
        scale, zero = self.scale.values(), self.zero.values()
        steps = codes.unflatten(1, (scale.shape[1], -1)) - zero[..., None]
        w = (scale[..., None] * steps).flatten(1)
        if self.order is not None:
            w = torch.empty_like(w).index_copy_(1, self.order, w)
        rows = torch.arange(len(w), device=w.device)
        rows = rows.repeat_interleave(self.starts.diff())
        w[rows, self.columns.long()] = self.outliers
        return w

    @property
    def bits_per_weight(self) -> float:
        """Codes, both levels of constants, outliers, row pointers and the order."""
        rows, cols = self.codes.shape
        constants = self.scale.storage_bits + self.zero.storage_bits
        index = 8 * index_dtype(cols).itemsize
        sparse = (VALUE_BITS + index) * len(self.outliers)
        sparse += POINTER_BITS * len(self.starts)
        order = 0 if self.order is None else index * cols
        return self.bits + (constants + sparse + order) / (rows * cols)


def spqr(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    settings: SpQR | None = None,
) -> SparseGrouped:
    """Quantize `w` for inputs with second moment `hessian`.

    ValueError for a group that does not divide the columns, a run of rows that does not
    divide the rows, an outlier that fp16 cannot hold, and whatever GPTQ refuses.
    """
    settings = settings or SpQR()
    w = checked_matrix(w)
    if w.abs().amax() > torch.finfo(torch.float16).max:
        raise ValueError(f"w reaches {w.abs().amax():.3g}; outliers are kept in fp16")
    order, factor = ordered_factor(w, hessian, settings, group=settings.group)
    left = w[:, order].T.contiguous()
    rounder = _Rounder(left, factor.diagonal() ** -2, settings)
    cancel_errors(
        left, factor, rounder.round, group=settings.group, block=settings.block
    )
    codes, kept, rounded = (
        torch.empty_like(t).index_copy_(0, order, t).T.contiguous()
        for t in (rounder.codes, rounder.kept, left)
    )
    starts = torch.nn.functional.pad(kept.sum(1).cumsum(0), (1, 0))
    return SparseGrouped(
        codes=codes,
        scale=_side_by_side(rounder.scales),
        zero=_side_by_side(rounder.zeros),
        bits=settings.bits,
        starts=starts,
        columns=kept.nonzero()[:, 1],
        outliers=rounded[kept],
        order=order if settings.act_order else None,
    )


class _Rounder:
    """Rounds columns on bilevel grids, but keeps outliers; remembers both."""

    def __init__(
        self,
        left: Float[Tensor, "cols rows"],
        importance: Float[Tensor, " cols"],
        settings: SpQR,
    ) -> None:
        self.settings, self.importance = settings, importance
        spread = left.var(1, correction=0) * importance
        self.threshold = settings.threshold * spread.mean()
        self.codes = torch.zeros(left.shape, dtype=torch.uint8, device=left.device)
        self.kept = torch.zeros(left.shape, dtype=torch.bool, device=left.device)
        self.scales: list[Bilevel] = []
        self.zeros: list[Bilevel] = []

    def round(self, j: int, left: Float[Tensor, "left rows"]) -> Float[Tensor, " rows"]:
        """ŵ_j: levels where rounding is cheap, fp16 where it is not."""
        group, high = self.settings.group, 2**self.settings.bits - 1
        if j % group == 0:
            self._fit(left[:group].T, self.importance[j : j + group])
        q = (left[0] / self.s + self.z).round().clamp(0, high)
        rounded = self.s * (q - self.z)
        cost = (left[0] - rounded).square() * self.importance[j]
        kept = cost > self.threshold
        self.codes[j], self.kept[j] = q, kept
        return torch.where(kept, left[0].half().to(rounded.dtype), rounded)

    def _fit(
        self, w: Float[Tensor, "rows group"], importance: Float[Tensor, " group"]
    ) -> None:
        """Scales and zeros of a group, fitted without its outliers, then quantized."""
        setup, high = self.settings, 2**self.settings.bits - 1
        outlier = group_outliers(w, importance, setup.bits, self.threshold)
        inner = w.masked_fill(outlier, 0).sum(1, keepdim=True)
        inner = inner / (~outlier).sum(1, keepdim=True).clamp(min=1)
        s, z = _range_grid(torch.where(outlier, inner, w), high)
        rows, bits = setup.constant_rows, setup.constant_bits
        self.scales.append(Bilevel.fit(s[:, None], bits, rows))
        self.zeros.append(Bilevel.fit(z[:, None], bits, rows))
        self.s = self.scales[-1].values()[:, 0].clamp(min=LEAST_SCALE)
        self.z = self.zeros[-1].values()[:, 0]


def group_outliers(
    w: Float[Tensor, "rows group"],
    importance: Float[Tensor, " group"],
    bits: int,
    threshold: float | Float[Tensor, ""],
) -> Bool[Tensor, "rows group"]:
    """Weights without which their group would cost less, by more than `threshold`."""
    group, high = w.shape[1], 2**bits - 1
    place = torch.arange(group, device=w.device)
    others = place.repeat(group, 1)[~torch.eye(group, dtype=torch.bool)]
    others = others.view(group, group - 1)  # row k lists all columns but k
    without = w[:, others]  # (rows, group, group − 1)
    cost_without = _cost(without, importance[others], high)
    return _cost(w, importance, high)[:, None] - cost_without > threshold


def _cost(w: Tensor, importance: Tensor, high: int) -> Tensor:
    """Σ importance (w − ŵ)² over the last dimension, on grids of its own range."""
    s, z = (t[..., None] for t in _range_grid(w, high))
    q = (w / s + z).round().clamp(0, high)
    return ((w - s * (q - z)).square() * importance).sum(-1)


def _range_grid(w: Float[Tensor, "... group"], high: int) -> tuple[Tensor, Tensor]:
    """Scale and real zero that lay levels 0 … high over [min(w, 0), max(w, 0)]."""
    low, top = w.amin(-1).clamp(max=0), w.amax(-1).clamp(min=0)
    s = ((top - low) / high).clamp(min=LEAST_SCALE)
    return s, -low / s


def _side_by_side(parts: list[Bilevel]) -> Bilevel:
    """One `Bilevel` of all groups."""
    codes, low, step = (
        torch.cat([getattr(part, name) for part in parts], 1)
        for name in ("codes", "low", "step")
    )
    return Bilevel(codes, low, step, parts[0].bits)
