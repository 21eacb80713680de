"""Integers of 1 to 32 bits, signed (two's complement) and unsigned.

    signed:  -2^(b-1) ... 2^(b-1) - 1        unsigned:  0 ... 2^b - 1

The top bit of two's complement weighs -2^(b-1), so a signed format has one negative
number more than positive ones.  At one bit that leaves {-1, 0}: `INT1` is two's
complement too, as ml_dtypes has it.  The {-1, +1} of binary networks is a code book,
not an integer format; it comes with the quantizers.

Read in order: `IntFormat`, `round_to_integer`, `bit_pattern`.  Taught in notebooks/02.
Source: any text on computer arithmetic, e.g. Parhami 2010, chapter 2.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor


@dataclass(frozen=True)
class IntFormat:
    """Integers of `bits` bits, from `low` to `high`; `ValueError` unless 1 to 32."""

    bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 32:
            raise ValueError(f"bits={self.bits}; integer formats have 1 to 32")

    @property
    def name(self) -> str:
        """INT8, UINT4, …"""
        return f"{'' if self.signed else 'U'}INT{self.bits}"

    @property
    def low(self) -> int:
        """Smallest integer."""
        return -(2 ** (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest integer."""
        return 2 ** (self.bits - self.signed) - 1


INT8, INT4, INT3, INT2, INT1 = (IntFormat(b) for b in (8, 4, 3, 2, 1))
UINT8, UINT4, UINT3, UINT2, UINT1 = (IntFormat(b, False) for b in (8, 4, 3, 2, 1))


def round_to_integer(
    x: Shaped[Tensor, "*shape"], fmt: IntFormat
) -> Int64[Tensor, "*shape"]:
    """Nearest integer (ties to even), clamped to what `fmt` holds.

    Raises `ValueError` unless x is floating point, and for NaN.
    """
    if not x.dtype.is_floating_point:
        raise ValueError(f"x is {x.dtype}; round_to_integer takes floating point")
    x = x.detach().to(torch.float64)
    if missing := int(x.isnan().sum()):
        raise ValueError(f"x holds {missing} NaN; {fmt.name} has none")
    return x.round().clamp(fmt.low, fmt.high).to(torch.int64)


def bit_pattern(value: int, fmt: IntFormat) -> str:
    """Two's complement bits of an integer: -8 in INT4 is `1000`.

    Raises `ValueError` where `fmt` lacks the integer.
    """
    if not fmt.low <= value <= fmt.high:
        raise ValueError(f"{value} is not in {fmt.name}, {fmt.low} to {fmt.high}")
    return format(value % 2**fmt.bits, f"0{fmt.bits}b")
