"""The codes of a small format, packed: a byte each, or two a byte up to 4 bits.

    code = sign | (E - E_min) 2^m + k        byte_i = code_2i + 16 code_2i+1

Bytes a value: 2 of fp16 or bf16 read, 1 or 1/2 written. The numbers' codes are bit for
bit those of `lib.formats.encode`. NaN has no sign, also where it came from an overflow,
and becomes the largest number where a format has none, as the hardware's conversions
have it. The order in a byte is that of torch's float4_e2m1fn_x2.

Read in order: `codes_reference`, `numbers`, `launch` (its kernel is in
codes_triton.py), `cast_codes`.
"""

import math
from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lib.formats.codes import encode
from lib.formats.floating import FloatFormat
from lib.kernels.cast.codes_triton import codes as _codes
from lib.kernels.cast.rounding import fields, fits_float32, format_of, numbers_of
from lib.kernels.core.compiler import require_triton, triton, widened
from lib.kernels.core.entry import DTYPES

BLOCK = 2048  # values that 256 threads read at once, 16 bytes each in 16 bits
PARTS = 4  # such blocks of a program


def codes_reference(
    x: Float[Tensor, "*rows cols"], fmt: FloatFormat, overflow: str
) -> UInt8[Tensor, "*rows bytes"]:
    """`encode`, and the packing."""
    missing = fmt.max if fmt.specials == "none" else torch.nan
    plain = x.to(torch.float64).masked_fill(x.isnan(), missing)
    code = encode(plain, fmt, overflow=overflow)
    if fmt.specials != "none":
        number = code & (1 << fmt.bits - 1) - 1
        code = torch.where(number == quiet_code(fmt), number, code)
    code = code.to(torch.uint8)
    return code if fmt.bits > 4 else code[..., ::2] | code[..., 1::2] << 4


def quiet_code(fmt: FloatFormat) -> int:
    """What NaN becomes."""
    beyond = fmt.max_code + 1
    half = 1 << fmt.fraction_bits >> 1
    return {"ieee": beyond + half, "nan": beyond, "none": fmt.max_code}[fmt.specials]


@cache
def numbers(fmt: FloatFormat, overflow: str) -> tuple[int | float, ...]:
    """The format as the kernel takes it, from `least` to `quiet`."""
    m, top = fmt.fraction_bits, fmt.max
    least, _, _ = fields(fmt, torch.float32)
    cap, limit = top, math.inf
    if fmt.beyond(overflow) == math.inf:
        cap = math.ldexp(1 - 2.0**-24, fmt.max_exponent + 1)  # rounds up to infinity
    elif fmt.beyond(overflow) != top:  # NaN
        gap = math.ldexp(1.0, fmt.max_exponent - m)
        odd = int(top / gap) % 2
        limit = (top + gap / 2) * (1 - odd * 2.0**-24)  # a tie goes to even
    by, first = 2 << m, least << m + 1
    words = (n - (n >> 31 << 32) for n in (first % 2**32, quiet_code(fmt) << 24))
    first, quiet = words  # of 32 bits, the upper one a sign
    return least, 2.0 ** (23 - m), 1 << 24, by, first, cap, limit, quiet


def launch(
    x: Float[Tensor, "*rows cols"], fmt: FloatFormat, overflow: str
) -> UInt8[Tensor, "*rows bytes"]:
    """The same bytes by the kernel.

    ImportError without Triton; ValueError where no kernel reaches x.
    """
    require_triton(x)
    x = x.contiguous().to(widened(x.dtype))
    y, count = x.new_empty(_shape(x, fmt), dtype=torch.uint8), x.numel()
    grid = (triton.cdiv(count, BLOCK * PARTS),)
    shape = {"BITS": fmt.bits, "BLOCK": BLOCK, "PARTS": PARTS, "num_warps": 8}
    _codes[grid](x, y, count, *numbers(fmt, overflow), **shape)
    return y


def cast_codes(
    x: Float[Tensor, "*rows cols"], fmt: FloatFormat, *, overflow: str = "infinity"
) -> UInt8[Tensor, "*rows bytes"]:
    """The codes of x rounded to nearest: on a GPU by the kernel.

    ValueError for another dtype than fp16, bf16 or float32, a format of more than 8
    bits or beyond float32, an odd row where two codes share a byte, or another overflow
    than infinity and saturate.
    """
    if x.dtype not in DTYPES:
        raise ValueError(f"x is {x.dtype}, not one of {', '.join(map(str, DTYPES))}")
    if fmt.bits > 8 or not fits_float32(fmt):
        raise ValueError(
            f"{fmt.name}: {fmt.bits} bits, exponents {fmt.min_exponent} to "
            f"{fmt.max_exponent}; a byte has 8, and float32 does the work"
        )
    if x.ndim < 1 or (fmt.bits <= 4 and x.shape[-1] % 2):
        raise ValueError(
            f"{fmt.name}: two codes share a byte; x has shape {tuple(x.shape)}"
        )
    fmt.beyond(overflow)  # refuses what it does not know
    return torch.ops.llm_compression.cast_codes(x.detach(), numbers_of(fmt), overflow)


def _shape(x: Tensor, fmt: FloatFormat) -> tuple[int, ...]:
    return (*x.shape[:-1], x.shape[-1] // (2 if fmt.bits <= 4 else 1))


torch.library.define(
    "llm_compression::cast_codes", "(Tensor x, int[] fmt, str overflow) -> Tensor"
)


@torch.library.impl("llm_compression::cast_codes", "CPU")
def _on_cpu(x: Tensor, fmt: list[int], overflow: str) -> Tensor:
    return codes_reference(x, format_of(fmt), overflow)


@torch.library.impl("llm_compression::cast_codes", "CUDA")
def _on_cuda(x: Tensor, fmt: list[int], overflow: str) -> Tensor:
    if not x.numel():
        return _shape_only(x, fmt, overflow)
    return launch(x, format_of(fmt), overflow)


@torch.library.register_fake("llm_compression::cast_codes")
def _shape_only(x: Tensor, fmt: list[int], overflow: str) -> Tensor:
    return x.new_empty(_shape(x, format_of(fmt)), dtype=torch.uint8)
