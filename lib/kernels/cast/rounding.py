"""x̂ = the number of a small format that x is stored as, in one pass over memory.

    any ExMy:  E = max(⌊log2 |x|⌋, E_min)     x̂ = 2^(E-m) round(x / 2^(E-m))
    blocks:    x̂ = s t c     c = element(x / (s t)),  saturating

Bytes a value: what x takes, read once and written once, so 4 in fp16 and bf16. NVFP4
reads x twice, for its t is the largest value's, so 6, and the second time from the end,
where the cache still holds it. A value takes 14 to 30 instructions. Those that compare,
mask or shift count double: an H100 has half as many units for them, 19 a value in the
time of 4 bytes. The ten kernels of `round_to` move 84 bytes.

To nearest, bit for bit `lib.formats`: ties to even, subnormals, -0, infinity and NaN.
Stochastic: `round_to` with uniform numbers of philox.py, the same on every device; but
below 2^E_min the covered part of a gap is first rounded to 23 - m bits (in float64 to
52 - m).
A block with an infinity or a NaN is NaN, as OCP has it; so is all of NVFP4's.

Read in order: `fake_cast`, `fields`, `scalars`, `launch_cast`; `fake_blocks`,
`launch_blocks`.
"""

from functools import cache

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from lib.formats.floating import (
    LAYOUT,
    FloatFormat,
    power_of_two_below,
    round_to,
)
from lib.formats.microscaling import BlockFormat, round_to_blocks
from lib.kernels.cast.philox import QUARTER, ROUNDS, uniforms
from lib.kernels.cast.rounding_triton import largest as _largest
from lib.kernels.cast.rounding_triton import microscaled as _microscaled
from lib.kernels.cast.rounding_triton import nearest as _nearest
from lib.kernels.cast.rounding_triton import scaled as _scaled
from lib.kernels.cast.rounding_triton import stochastic as _stochastic
from lib.kernels.core.compiler import require_triton, triton, widened
from lib.kernels.core.entry import DTYPES
from lib.kernels.core.tiles import power_above

VALUES = 4096  # of a program
SPECIALS = ("ieee", "nan", "none")


def fits_float32(fmt: FloatFormat) -> bool:
    """Whether float32 holds C = 2^(E - m + 23) and a 2^-24th of every gap."""
    m = fmt.fraction_bits
    least, most = fmt.min_exponent - m - 24, fmt.max_exponent - m + 23
    return m <= 22 and least >= -149 and most <= 127


def fields(fmt: FloatFormat, work: torch.dtype) -> tuple[int, int, int]:
    """Bits of 2^E_min and 2^E_max, and what turns an exponent's bits into C's."""
    _, fraction, bias = LAYOUT[work]
    drop = fraction - fmt.fraction_bits
    most = min(fmt.max_exponent, bias - drop)  # C is finite
    least = min(fmt.min_exponent, most)
    return tuple(n << fraction for n in (least + bias, most + bias, drop))


@cache
def scalars(
    fmt: FloatFormat, overflow: str, dtype: torch.dtype
) -> tuple[bool, tuple[int, ...]]:
    """Whether float64 does the work, and the format as a kernel takes it: as bits.

    Scalars cost no instruction, and a new format no compilation.
    """
    work = torch.float32 if fits_float32(fmt) else torch.float64
    beyond = torch.tensor(fmt.beyond(overflow), dtype=torch.float64).to(dtype)
    ends = torch.tensor([fmt.max, beyond.item()], dtype=work).view(LAYOUT[work][0])
    return work == torch.float64, (*fields(fmt, work), *ends.tolist())


def cast_reference(
    x: Float[Tensor, "*shape"],
    fmt: FloatFormat,
    overflow: str,
    uniform: Float32[Tensor, "count"] | None = None,
) -> Float[Tensor, "*shape"]:
    """`round_to`: nearest, or up where the uniform is below what x covers of the gap.

    A number below 2^E_min is looked at in its sum with 2^E_min: the gaps are the same.
    """
    if uniform is None:
        return round_to(x, fmt, overflow=overflow)
    a = x.to(torch.float32 if fits_float32(fmt) else torch.float64)
    least = fmt.smallest_normal
    base = torch.where(a.abs() < least, least, 0.0).to(a.dtype)
    from_base = a.abs() + base
    binade = power_of_two_below(from_base, fmt)
    k = from_base / binade * 2.0**fmt.fraction_bits
    k = k.floor() + (uniform.view(x.shape) < k - k.floor())
    y = k * 2.0**-fmt.fraction_bits * binade - base
    beyond = torch.tensor(fmt.beyond(overflow), dtype=a.dtype, device=a.device)
    return torch.where(y > fmt.max, beyond, y).copysign(a).to(x.dtype)


def launch_cast(
    x: Float[Tensor, "*shape"], fmt: FloatFormat, overflow: str, seed: int | None
) -> Float[Tensor, "*shape"]:
    """x̂ by a kernel: to nearest, or with a seed stochastically.

    ImportError without Triton; ValueError where no kernel reaches x.
    """
    require_triton(x)
    dtype, (wide, numbers) = x.dtype, scalars(fmt, overflow, x.dtype)
    x = x.contiguous().to(widened(dtype))
    y, count = x.new_empty(x.shape), x.numel()
    if seed is None:
        grid = (triton.cdiv(count, VALUES),)
        _nearest[grid](x, y, count, *numbers, WIDE=wide, BLOCK=VALUES, num_warps=8)
    else:
        grid = (triton.cdiv(count, 4 * QUARTER),)
        shape = {"WIDE": wide, "QUARTER": QUARTER, "ROUNDS": ROUNDS, "num_warps": 4}
        _stochastic[grid](x, y, count, seed, *numbers, **shape)
    return y.to(dtype)


def fake_cast(
    x: Float[Tensor, "*shape"],
    fmt: FloatFormat,
    *,
    rounding: str = "nearest",
    overflow: str = "infinity",
    seed: int | None = None,
) -> Float[Tensor, "*shape"]:
    """What x becomes when it is stored in `fmt`; same shape, same dtype, no gradient.

    `lib.formats.round_to` in one kernel on a GPU, with a seed for a generator: random
    numbers follow from it and a value's index, so another call takes another seed.
    ValueError for another dtype than fp16, bf16 or float32, a rounding or an overflow
    that `round_to` does not know, or a seed that is missing or idle.
    """
    if x.dtype not in DTYPES:
        raise ValueError(f"x is {x.dtype}, not one of {', '.join(map(str, DTYPES))}")
    if rounding not in ("nearest", "stochastic"):
        raise ValueError(f"rounding={rounding!r}, not 'nearest' or 'stochastic'")
    random = rounding == "stochastic"
    if random != (seed is not None) or not 0 <= (seed or 0) < 2**63:
        raise ValueError(
            f"rounding={rounding!r}, seed={seed}: stochastic rounding, and no other, "
            "takes a seed from 0 to 2^63 - 1"
        )
    fmt.beyond(overflow)  # refuses what it does not know
    flat = x.detach()
    return torch.ops.llm_compression.fake_cast(flat, numbers_of(fmt), overflow, seed)


def blocks_reference(
    x: Float[Tensor, "*rows cols"], fmt: BlockFormat
) -> Float[Tensor, "*rows cols"]:
    """`round_to_blocks`, and NaN where a block, or what shares its t, is not finite."""
    if not x.numel():
        return x.clone()
    bad = ~x.isfinite().unflatten(-1, (-1, fmt.block)).all(-1)  # (*rows, blocks)
    bad = bad.repeat_interleave(fmt.block, -1) if fmt.scale is None else bad.any()
    return round_to_blocks(x.masked_fill(bad, 0), fmt).masked_fill(bad, torch.nan)


def launch_blocks(
    x: Float[Tensor, "*rows cols"], fmt: BlockFormat
) -> Float[Tensor, "*rows cols"]:
    """x̂ by a kernel, in blocks along the last axis.

    ImportError without Triton; ValueError where no kernel reaches x.
    """
    require_triton(x)
    dtype, element = x.dtype, fmt.element
    x = x.contiguous().to(widened(dtype))
    y, count = x.new_empty(x.shape), x.numel()
    low, _, _ = fields(element, torch.float32)
    part = (low, 2.0 ** (23 - element.fraction_bits), element.max)
    width = power_above(fmt.block)
    runs, blocks = max(1, VALUES // width), count // fmt.block
    grid = (triton.cdiv(blocks, runs),)
    shape = {"SIZE": fmt.block, "WIDTH": width, "RUNS": runs, "num_warps": 8}
    if fmt.scale is None:
        _microscaled[grid](x, y, blocks, *part, element.max_exponent, **shape)
        return y.to(dtype)
    peak = torch.zeros((), dtype=torch.int32, device=x.device)
    most = 4 * VALUES
    _largest[(triton.cdiv(count, most),)](x, peak, count, BLOCK=most, num_warps=8)
    low, _, _ = fields(fmt.scale, torch.float32)
    scale = (low, 2.0 ** (23 - fmt.scale.fraction_bits), fmt.scale.max)
    least = fmt.scale.smallest_subnormal
    shape["num_warps"] = 4  # what a thread does once serves 32 values
    _scaled[grid](x, y, peak, blocks, *part, *scale, least, **shape)
    return y.to(dtype)


def fake_blocks(
    x: Float[Tensor, "*rows cols"], fmt: BlockFormat
) -> Float[Tensor, "*rows cols"]:
    """`lib.formats.round_to_blocks` in one kernel on a GPU, NVFP4 in two; no gradient.

    ValueError for another dtype than fp16, bf16 or float32, columns that the blocks do
    not divide, or a format whose arithmetic float32 does not hold.
    """
    if x.dtype not in DTYPES:
        raise ValueError(f"x is {x.dtype}, not one of {', '.join(map(str, DTYPES))}")
    if x.ndim < 1 or x.shape[-1] % fmt.block:
        raise ValueError(
            f"{fmt.name}: block={fmt.block} does not divide the last axis of x, "
            f"of shape {tuple(x.shape)}"
        )
    for part in filter(None, (fmt.element, fmt.scale)):
        if not fits_float32(part) or not 0 <= part.max_exponent <= 15:
            raise ValueError(
                f"{fmt.name}: {part.name} has exponents {part.min_exponent} to "
                f"{part.max_exponent}; these blocks take tops of 0 to 15"
            )
    scale = None
    if fmt.scale is not None:
        digits = fmt.element.fraction_bits + fmt.scale.fraction_bits
        if digits > 9:
            raise ValueError(
                f"{fmt.name}: element and scale have {digits} fraction bits; more than "
                "9 leave no product exact"
            )
        scale = numbers_of(fmt.scale)
    element = numbers_of(fmt.element)
    return torch.ops.llm_compression.fake_blocks(x.detach(), element, fmt.block, scale)


def numbers_of(fmt: FloatFormat) -> list[int]:
    """A format as an operator's schema can hold it."""
    special = SPECIALS.index(fmt.specials)
    return [fmt.exponent_bits, fmt.fraction_bits, fmt.bias, special]


def format_of(numbers: list[int]) -> FloatFormat:
    """The format of these numbers."""
    e, m, bias, special = numbers
    return FloatFormat(f"E{e}M{m}", e, m, bias, SPECIALS[special])


def _blocks(element: list[int], block: int, scale: list[int] | None) -> BlockFormat:
    """The block format of these numbers."""
    known = None if scale is None else format_of(scale)
    return BlockFormat("blocks", format_of(element), block, known)


torch.library.define(
    "llm_compression::fake_cast",
    "(Tensor x, int[] fmt, str overflow, int? seed) -> Tensor",
)
torch.library.define(
    "llm_compression::fake_blocks",
    "(Tensor x, int[] element, int block, int[]? scale) -> Tensor",
)


@torch.library.impl("llm_compression::fake_cast", "CPU")
def _cast_on_cpu(x: Tensor, fmt: list[int], overflow: str, seed: int | None) -> Tensor:
    uniform = None if seed is None else uniforms(seed, x.numel(), x.device)
    return cast_reference(x, format_of(fmt), overflow, uniform)


@torch.library.impl("llm_compression::fake_cast", "CUDA")
def _cast_on_cuda(x: Tensor, fmt: list[int], overflow: str, seed: int | None) -> Tensor:
    return launch_cast(x, format_of(fmt), overflow, seed) if x.numel() else x.clone()


@torch.library.register_fake("llm_compression::fake_cast")
def _cast_shape(x: Tensor, fmt: list[int], overflow: str, seed: int | None) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.impl("llm_compression::fake_blocks", "CPU")
def _blocks_on_cpu(
    x: Tensor, element: list[int], block: int, scale: list[int] | None
) -> Tensor:
    return blocks_reference(x, _blocks(element, block, scale))


@torch.library.impl("llm_compression::fake_blocks", "CUDA")
def _blocks_on_cuda(
    x: Tensor, element: list[int], block: int, scale: list[int] | None
) -> Tensor:
    fmt = _blocks(element, block, scale)
    return launch_blocks(x, fmt) if x.numel() else x.clone()


@torch.library.register_fake("llm_compression::fake_blocks")
def _blocks_shape(
    x: Tensor, element: list[int], block: int, scale: list[int] | None
) -> Tensor:
    return x.new_empty(x.shape)
