"""Floating point with any number of exponent and fraction bits, rounded exactly.

A format with e exponent bits, m fraction bits and a bias holds ±k 2^(E - m), where

    E = max(field, 1) - bias      k = fraction + 2^m [field > 0]      0 <= k < 2^(m+1)

so E starts at E_min = 1 - bias, and below 2^E_min (the subnormals) gaps stay constant.
Rounding therefore needs one line for normal and subnormal numbers alike:

    E = max(floor(log2|x|), E_min)     k = round(2^m x / 2^E)     x̂ = 2^E (k / 2^m)

Guarantee: |x̂ - x| <= 2^(E-m) / 2, ties to even k; every step but `round` is exact in
binary arithmetic (2^E is cut out of x's own bits, no logarithm is taken), so the result
is the correctly rounded one, bit for bit.

Read in order: `FloatFormat`, `round_to`, `neighbours`; as bits, codes.py.  Taught in
notebooks/02.
Source: IEEE 754-2019, sections 3.3 and 4.3; Micikevicius et al. 2022, arXiv:2209.05433
(E4M3, E5M2); stochastic rounding: Gupta et al. 2015, arXiv:1502.02551.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

# Working dtype -> (integer dtype of its bits, its fraction bits, its bias).
LAYOUT = {torch.float32: (torch.int32, 23, 127), torch.float64: (torch.int64, 52, 1023)}
INPUTS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
CHUNK = 1 << 15  # elements a CPU rounds at a time: what lies between stays in cache


@dataclass(frozen=True)
class FloatFormat:
    """One sign bit, exponent, fraction; `specials` says what the top codes mean.

    - `"ieee"`: the top exponent is reserved for infinity and NaN (FP16, E5M2).
    - `"nan"`: only the code of all ones, of either sign, is NaN; no infinity (E4M3).
    - `"none"`: every code is a finite number (FP6, FP4).

    Raises `ValueError` where float64 could not hold the format, or no number is left.
    """

    name: str
    exponent_bits: int
    fraction_bits: int
    bias: int | None = None  # 2^(exponent_bits - 1) - 1 unless given
    specials: str = "ieee"

    def __post_init__(self) -> None:
        e, m = self.exponent_bits, self.fraction_bits
        if not (1 <= e <= 11 and 0 <= m <= 52):
            raise ValueError(
                f"{self.name}: {e} exponent and {m} fraction bits; "
                "1 to 11 and 0 to 52 fit in float64"
            )
        if self.specials not in ("ieee", "nan", "none"):
            raise ValueError(
                f"{self.name}: specials={self.specials!r}, not 'ieee', 'nan' or 'none'"
            )
        if self.specials == "ieee" and (e < 2 or m < 1):
            raise ValueError(
                f"{self.name}: infinity and NaN need at least 2 exponent bits and "
                f"1 fraction bit, not {e} and {m}"
            )
        if self.bias is None:
            object.__setattr__(self, "bias", 2 ** (e - 1) - 1)
        low, high = self.min_exponent, self.max_exponent
        if low < -1022 or high > 1023:
            raise ValueError(
                f"{self.name}: with bias {self.bias} the exponents run from {low} to "
                f"{high}, beyond float64's -1022 to 1023"
            )

    @property
    def bits(self) -> int:
        """Width of a code, the sign included."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def min_exponent(self) -> int:
        """E_min, the exponent of the smallest normal number and of all subnormals."""
        return 1 - self.bias

    @property
    def max_code(self) -> int:
        """Code of the largest finite number; those above it are special."""
        e, m = self.exponent_bits, self.fraction_bits
        top = {"ieee": (2**e - 1) << m, "nan": 2 ** (e + m) - 1, "none": 2 ** (e + m)}
        return top[self.specials] - 1

    @property
    def max_exponent(self) -> int:
        """Exponent of the largest finite number: floor(log2(max))."""
        return max(self.max_code >> self.fraction_bits, 1) - self.bias

    @property
    def max(self) -> float:
        """Largest finite number."""
        m = self.fraction_bits
        k = self.max_code - ((self.max_exponent - self.min_exponent) << m)
        return math.ldexp(k, self.max_exponent - m)

    @property
    def smallest_normal(self) -> float:
        """2^E_min: below it every halving costs one bit of precision."""
        return math.ldexp(1.0, self.min_exponent)

    @property
    def smallest_subnormal(self) -> float:
        """The smallest positive number, which is also the gap around zero."""
        return math.ldexp(1.0, self.min_exponent - self.fraction_bits)

    @property
    def epsilon(self) -> float:
        """Gap from 1.0 to the next larger number."""
        return math.ldexp(1.0, max(0, self.min_exponent) - self.fraction_bits)

    def beyond(self, overflow: str) -> float:
        """What a number beyond `max` becomes: infinity, else NaN, else `max` itself.

        Raises `ValueError` unless `overflow` is "infinity" or "saturate".
        """
        if overflow not in ("infinity", "saturate"):
            raise ValueError(f"overflow={overflow!r}, not 'infinity' or 'saturate'")
        if overflow == "saturate":
            return self.max
        return {"ieee": math.inf, "nan": math.nan, "none": self.max}[self.specials]


FP64 = FloatFormat("FP64", 11, 52)
FP32 = FloatFormat("FP32", 8, 23)
TF32 = FloatFormat("TF32", 8, 10)
BF16 = FloatFormat("BF16", 8, 7)
FP16 = FloatFormat("FP16", 5, 10)
FP8_E4M3 = FloatFormat("FP8 E4M3", 4, 3, specials="nan")
FP8_E5M2 = FloatFormat("FP8 E5M2", 5, 2)
FP6_E2M3 = FloatFormat("FP6 E2M3", 2, 3, specials="none")
FP6_E3M2 = FloatFormat("FP6 E3M2", 3, 2, specials="none")
FP4_E2M1 = FloatFormat("FP4 E2M1", 2, 1, specials="none")


def round_to(
    x: Shaped[Tensor, "*shape"],
    fmt: FloatFormat,
    *,
    rounding: str = "nearest",
    overflow: str = "infinity",
    generator: torch.Generator | None = None,
) -> Shaped[Tensor, "*shape"]:
    """Replace each number by one that `fmt` holds; same shape, same dtype.

    `"nearest"` breaks ties towards even k.  `"stochastic"` takes the neighbour above
    with a probability equal to the fraction of the gap that x has covered (to within
    2^-24), so that the mean of x̂ is x; numbers that `fmt` holds stay.  What then lies
    beyond `fmt.max`, infinities included, becomes `fmt.beyond(overflow)`: ml_dtypes
    casts as `"infinity"` does, and so does torch (2.13) but for E4M3, which saturates.
    NaN stays NaN, -0 stays -0, also where `fmt` has no code for NaN.  Where x's dtype
    cannot hold the result (65504 in bfloat16), torch's own cast has the last word.  No
    gradient flows through.

    Raises `ValueError` unless x is float16, bfloat16, float32 or float64.
    """
    if x.dtype not in INPUTS:
        raise ValueError(f"x is {x.dtype}; rounding takes float16, 32, 64 or bfloat16")
    if rounding not in ("nearest", "stochastic"):
        raise ValueError(f"rounding={rounding!r}, not 'nearest' or 'stochastic'")
    beyond = fmt.beyond(overflow)
    if x.numel() == 0:
        return x.detach().clone()
    work, flat = working_dtype(x.dtype, fmt), x.detach().reshape(-1)
    result = torch.empty_like(flat)
    size = CHUNK if x.device.type == "cpu" else flat.numel()
    for source, target in zip(flat.split(size), result.split(size), strict=True):
        part = source.to(work)
        binade = power_of_two_below(part, fmt)
        k = (part / binade).mul_(2.0**fmt.fraction_bits)
        k = k.round_() if rounding == "nearest" else toss(k, generator)
        y = k.mul_(2.0**-fmt.fraction_bits).mul_(binade)
        if beyond == fmt.max:
            y.clamp_(-fmt.max, fmt.max)
        elif binade.amax() >= 2.0**fmt.max_exponent:  # nothing below it can overflow
            y = torch.where(y.abs() > fmt.max, y * beyond, y)
        target.copy_(y)
    return result.reshape(x.shape)


def working_dtype(dtype: torch.dtype, fmt: FloatFormat) -> torch.dtype:
    """float32 where it holds both the input and the format, else float64."""
    inside = fmt.fraction_bits <= 23 and fmt.min_exponent >= -126
    narrow = inside and fmt.max_exponent <= 127 and dtype != torch.float64
    return torch.float32 if narrow else torch.float64


def power_of_two_below(
    x: Shaped[Tensor, "*shape"], fmt: FloatFormat
) -> Shaped[Tensor, "*shape"]:
    """2^max(floor(log2|x|), E_min), by clearing the sign and fraction bits of x.

    x is float32 or float64.  Infinity and NaN get the top power of two.
    """
    integer, fraction, bias = LAYOUT[x.dtype]
    exponent = x.view(integer) & (2 * bias + 1 << fraction)
    exponent.clamp_((fmt.min_exponent + bias) << fraction, 2 * bias << fraction)
    return exponent.view(x.dtype)


def toss(
    k: Shaped[Tensor, "*shape"], generator: torch.Generator | None
) -> Shaped[Tensor, "*shape"]:
    """Round |k| up with probability |k| - floor|k|, else down; the sign stays."""
    low = k.abs().floor_()
    coin = torch.rand(k.shape, generator=generator, dtype=k.dtype, device=k.device)
    return low.add_(coin < k.abs().sub_(low)).copysign_(k)


def neighbours(x: float | int, fmt: FloatFormat) -> tuple[float, float]:
    """The numbers of `fmt` that enclose x: the last one <= x, the first one >= x.

    They are equal where `fmt` holds x.  Beyond `max` the outer neighbour is infinite,
    whether `fmt` has a code for infinity or not.  Raises `ValueError` for NaN.
    """
    x = float(x)
    if math.isnan(x):
        raise ValueError("NaN has no neighbours")
    if abs(x) > fmt.max:
        below, above = fmt.max, math.inf
    else:
        place = torch.tensor(abs(x), dtype=torch.float64)
        binade = power_of_two_below(place, fmt).item()
        k = math.floor(abs(x) / binade * 2.0**fmt.fraction_bits)
        below, above = ((k + i) * 2.0**-fmt.fraction_bits * binade for i in (0, 1))
        above = below if below == abs(x) else above
    return (below, above) if math.copysign(1.0, x) > 0 else (-above, -below)
