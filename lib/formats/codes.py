"""The codes of floating-point numbers: sign, exponent and fraction as one integer.

    code = sign 2^(bits - 1) + (E - E_min) 2^m + k        0 <= k < 2^(m+1)

so a normal number's implicit leading bit of k raises the exponent field by one, and
magnitudes are in the order of their codes.

Read in order: `encode`, `decode`, `all_values`, `bit_string`.  Taught in notebooks/02.
Source: IEEE 754-2019, section 3.4.
"""

import math

import torch
from jaxtyping import Float64, Int64, Shaped
from torch import Tensor

from lib.formats.floating import FloatFormat, power_of_two_below, round_to


def log2_of(binade: Float64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Exponent of each power of two, -1022 to 1023, read off its bits."""
    return (binade.view(torch.int64) >> 52) - 1023


def two_to(exponent: Int64[Tensor, "*shape"]) -> Float64[Tensor, "*shape"]:
    """2^exponent for -1022 to 1023, exactly: the inverse of `log2_of`."""
    return (exponent + 1023 << 52).view(torch.float64)


def encode(
    x: Shaped[Tensor, "*shape"], fmt: FloatFormat, *, overflow: str = "infinity"
) -> Int64[Tensor, "*shape"]:
    """Code sign | exponent | fraction of each number, rounded to nearest even.

    Counted from zero, the magnitude's code is (E - E_min) 2^m + k: codes are in order.
    NaN gets the quiet code with its own sign, and none where an overflow made it;
    64-bit codes are the int64 of those bits.
    Raises `ValueError` for NaN where `fmt` has none, and as `round_to` does.
    """
    m = fmt.fraction_bits
    rounded = round_to(x, fmt, overflow=overflow).to(torch.float64)
    binade = power_of_two_below(rounded, fmt)
    exponent = log2_of(binade)
    k = (rounded.abs() / binade).mul_(2.0**m).nan_to_num_(0.0, 0.0).to(torch.int64)
    code = ((exponent - fmt.min_exponent) << m) + k
    infinity = fmt.max_code + 1
    quiet = infinity if fmt.specials == "nan" else infinity + (1 << m >> 1)
    code = code.masked_fill(rounded.isinf(), infinity)
    missing = rounded.isnan()
    if fmt.specials == "none" and missing.any():
        raise ValueError(f"{fmt.name} has no NaN; x holds {int(missing.sum())}")
    sign = torch.signbit(rounded).to(torch.int64)
    return code.masked_fill(missing, quiet) | (sign << fmt.bits - 1)


def decode(
    codes: Shaped[Tensor, "*shape"], fmt: FloatFormat
) -> Float64[Tensor, "*shape"]:
    """Number that each code stands for, exactly.

    Raises `ValueError` for codes that are not integers or need more than `fmt.bits`.
    """
    if codes.dtype.is_floating_point or codes.dtype.is_complex:
        raise ValueError(f"codes are {codes.dtype}; decode takes integers")
    codes, m = codes.to(torch.int64), fmt.fraction_bits
    if (
        fmt.bits < 64
        and codes.numel()
        and (codes < 0).logical_or(codes >> fmt.bits > 0).any()
    ):
        raise ValueError(
            f"codes run from {int(codes.min())} to {int(codes.max())}; "
            f"{fmt.name} has 0 to {2**fmt.bits - 1}"
        )
    magnitude = codes & (1 << fmt.bits - 1) - 1
    field = magnitude >> m
    k = (magnitude & (1 << m) - 1) + ((field > 0).to(torch.int64) << m)
    exponent = (field.clamp(min=1) - fmt.bias).clamp(max=1023)
    value = k.to(torch.float64).mul_(2.0**-m).mul_(two_to(exponent))
    infinity = fmt.max_code + 1
    if fmt.specials == "ieee":
        value.masked_fill_(magnitude == infinity, math.inf)
        value.masked_fill_(magnitude > infinity, math.nan)
    elif fmt.specials == "nan":
        value.masked_fill_(magnitude == infinity, math.nan)
    return torch.where(codes >> fmt.bits - 1 & 1 == 1, -value, value)


def all_values(fmt: FloatFormat) -> Float64[Tensor, "codes"]:
    """Every number of `fmt` in the order of its codes: 2^bits of them, NaN included.

    Raises `ValueError` above 16 bits.
    """
    if fmt.bits > 16:
        raise ValueError(f"{fmt.name} has 2^{fmt.bits} codes; at most 2^16 are listed")
    return decode(torch.arange(2**fmt.bits), fmt)


def bit_string(x: float | int, fmt: FloatFormat) -> str:
    """Bits of x rounded to `fmt`, "sign exponent fraction": `0 10000 1001001000`."""
    code = int(encode(torch.tensor(float(x), dtype=torch.float64), fmt))
    digits = format(code % 2**fmt.bits, f"0{fmt.bits}b")
    end = 1 + fmt.exponent_bits
    return f"{digits[0]} {digits[1:end]} {digits[end:]}".rstrip()
