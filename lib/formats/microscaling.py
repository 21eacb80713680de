"""Blocks of tiny floats that share a scale: MXFP8, MXFP6, MXFP4, MXINT8 and NVFP4.

A block's range is spent once, on its scale, so that each element needs few bits:

    MX:     s = 2^(floor(log2 max|x|) - E_max),  one byte (E8M0) for 32 elements
    NVFP4:  s = E4M3(max|x| / 6 / t),  one byte for 16, with t = max|all x| / (6 · 448)
    both:   c = element(x / (s t)), saturating;   x̂ = s t c   (t = 1 in MX)

E_max is the exponent of the element's largest number, so max|x| / s lies in its top
binade: MX may clip there (MXFP4 takes 7.9 to 6), NVFP4 uses the range in full.
Guarantee: x̂ of what already is a block of the format is the block itself (MX).

A block lies along the last axis; with `square` it is as high as it is wide, and then
the transpose of x̂ is what the transpose of x becomes. Stochastic rounding makes c's
mean x / (s t) wherever that does not saturate.

The numbers between are float64, so that each rounding is the correct one. `arithmetic`
may be float32, which is what hardware does: scales and elements then differ only where
a float32 quotient falls on the other side of a tie.

Read in order: `BlockFormat`, `block_scales`, `quantize_blocks`, `dequantize_blocks`.
Taught in notebooks/02 and 09.  Source: OCP Microscaling Formats (MX) v1.0, sections 5
and 6.3; NVIDIA 2025, "Pretraining LLMs with NVFP4", arXiv:2509.25149, section 2.
"""

from dataclasses import dataclass
from math import inf, nan

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from lib.formats.codes import decode, encode, log2_of, two_to
from lib.formats.floating import (
    FP4_E2M1,
    FP6_E2M3,
    FP6_E3M2,
    FP8_E4M3,
    FP8_E5M2,
    FP32,
    FP64,
    INPUTS,
    FloatFormat,
    power_of_two_below,
    round_to,
)

E8M0_BIAS = 127  # codes 0 to 254 mean 2^-127 to 2^127; 255 means NaN


@dataclass(frozen=True)
class BlockFormat:
    """`block` elements beside one scale: a power of two (E8M0) if `scale` is None."""

    name: str
    element: FloatFormat
    block: int = 32
    scale: FloatFormat | None = None

    @property
    def bits_per_value(self) -> float:
        """Element bits and the element's share of the 8-bit scale."""
        return self.element.bits + 8 / self.block


MXFP8_E4M3 = BlockFormat("MXFP8 E4M3", FP8_E4M3)
MXFP8_E5M2 = BlockFormat("MXFP8 E5M2", FP8_E5M2)
MXFP6_E2M3 = BlockFormat("MXFP6 E2M3", FP6_E2M3)
MXFP6_E3M2 = BlockFormat("MXFP6 E3M2", FP6_E3M2)
MXFP4 = BlockFormat("MXFP4", FP4_E2M1)
# k / 64 for k in -127..127: with one exponent bit the gap never changes.  (OCP stores
# these numbers in two's complement, and leaves it open whether -128 is used.)
MXINT8 = BlockFormat("MXINT8", FloatFormat("INT8/64", 1, 6, bias=1, specials="none"))
NVFP4 = BlockFormat("NVFP4", FP4_E2M1, block=16, scale=FP8_E4M3)


@dataclass(frozen=True)
class Blocks:
    """A quantized tensor: codes of elements, codes of scales, one fp32 scale in all."""

    fmt: BlockFormat
    codes: UInt8[Tensor, "*rows cols"]
    scales: UInt8[Tensor, "*high blocks"]  # a row for each row, or for `block` of them
    tensor_scale: float = 1.0
    square: bool = False


def block_scales(
    x: Shaped[Tensor, "*rows cols"],
    fmt: BlockFormat,
    *,
    square: bool = False,
    arithmetic: torch.dtype = torch.float64,
) -> tuple[Float[Tensor, "*high blocks"], float]:
    """Scale of each run of `fmt.block` along the last axis, and the tensor's own scale.

    `square`: of each `fmt.block` × `fmt.block` numbers of the last two axes. All-zero
    blocks get the smallest scale.  A tensor below 2^-150 · 6 · 448 has none of its own
    in NVFP4 and becomes 0; MX saturates at 2^127 times its largest element. Raises
    `ValueError` as `quantize_blocks` does.
    """
    runs = split(x, fmt, arithmetic)
    largest = runs.abs().amax(-1)  # (*rows, blocks)
    if square:
        if x.ndim < 2 or x.shape[-2] % fmt.block:
            raise ValueError(
                f"{fmt.name}: square blocks of {fmt.block} do not divide x, "
                f"of shape {tuple(x.shape)}, into whole ones"
            )
        largest = largest.unflatten(-2, (-1, fmt.block)).amax(-2)
    if fmt.scale is None:
        widest = FP32 if arithmetic == torch.float32 else FP64
        scales = power_of_two_below(largest, widest) * 2.0**-fmt.element.max_exponent
        return scales.clamp_(2.0**-E8M0_BIAS, 2.0**E8M0_BIAS), 1.0
    full = fmt.element.max * fmt.scale.max
    tensor_scale = (largest.amax() / full).to(torch.float32).item() or 1.0
    if tensor_scale == inf:
        reached = largest.amax().item()
        raise ValueError(f"{fmt.name}: x reaches {reached:.3g}; its scale is no fp32")
    wanted = largest / fmt.element.max / tensor_scale
    rounded = round_to(wanted, fmt.scale, overflow="saturate")
    return rounded.clamp_(min=fmt.scale.smallest_subnormal), tensor_scale


def quantize_blocks(
    x: Shaped[Tensor, "*rows cols"],
    fmt: BlockFormat,
    *,
    square: bool = False,
    rounding: str = "nearest",
    generator: torch.Generator | None = None,
    arithmetic: torch.dtype = torch.float64,
) -> Blocks:
    """Codes of the elements and of their scales; elements saturate, scales go to even.

    `rounding` of the elements is "nearest" (to even) or "stochastic". Raises
    `ValueError` for an empty tensor, NaN or infinity, a dtype that `round_to` refuses,
    a last axis (or, for square blocks, one of the last two) that `fmt.block` does not
    divide, an `arithmetic` that is not float32 or float64, or a tensor so large that
    its own scale exceeds fp32.
    """
    how = {"square": square, "rounding": rounding, "arithmetic": arithmetic}
    elements, scales, tensor_scale = _elements(x, fmt, generator, **how)
    codes = encode(elements.flatten(-2), fmt.element, overflow="saturate")
    if fmt.scale is None:
        scale_codes = log2_of(scales.double()) + E8M0_BIAS
    else:
        scale_codes = encode(scales, fmt.scale)
    stored = codes.to(torch.uint8), scale_codes.to(torch.uint8)
    return Blocks(fmt, *stored, tensor_scale, square)


def _elements(
    x: Tensor,
    fmt: BlockFormat,
    generator: torch.Generator | None,
    *,
    square: bool,
    rounding: str,
    arithmetic: torch.dtype,
) -> tuple[Tensor, Tensor, float]:
    """c (*rows, blocks, block), s (*high, blocks) and t."""
    scales, t = block_scales(x, fmt, square=square, arithmetic=arithmetic)
    scaled = split(x, fmt, arithmetic) / _steps(scales, t, fmt, square)
    how = {"rounding": rounding, "overflow": "saturate", "generator": generator}
    return round_to(scaled, fmt.element, **how), scales, t


def _steps(scales: Tensor, t: float, fmt: BlockFormat, square: bool) -> Tensor:
    """s t beside each block of each row: (*rows, blocks, 1)."""
    steps = (scales * t).unsqueeze(-1)
    return steps.repeat_interleave(fmt.block, -3) if square else steps


def dequantize_blocks(blocks: Blocks) -> Float[Tensor, "*rows cols"]:
    """Number that each code stands for, in float64: element × block × tensor scale."""
    fmt, codes = blocks.fmt, blocks.scales
    if fmt.scale is None:
        scales = two_to(codes.to(torch.int64) - E8M0_BIAS).masked_fill(
            codes == 255, nan
        )
    else:
        scales = decode(codes, fmt.scale)
    elements = decode(blocks.codes, fmt.element).unflatten(-1, (-1, fmt.block))
    steps = _steps(scales, blocks.tensor_scale, fmt, blocks.square)
    return (elements * steps).flatten(-2)


def round_to_blocks(
    x: Shaped[Tensor, "*rows cols"],
    fmt: BlockFormat,
    *,
    square: bool = False,
    rounding: str = "nearest",
    generator: torch.Generator | None = None,
    arithmetic: torch.dtype = torch.float64,
) -> Shaped[Tensor, "*rows cols"]:
    """What x becomes when it is stored in `fmt`; same shape, same dtype.

    Options and `ValueError`s are those of `quantize_blocks`, whose codes say the same.
    """
    how = {"square": square, "rounding": rounding, "arithmetic": arithmetic}
    elements, scales, t = _elements(x, fmt, generator, **how)
    return (elements * _steps(scales, t, fmt, square)).flatten(-2).to(x.dtype)


def split(
    x: Shaped[Tensor, "*rows cols"],
    fmt: BlockFormat,
    arithmetic: torch.dtype = torch.float64,
) -> Float[Tensor, "*rows blocks block"]:
    """Cut the last axis into blocks of `arithmetic`; refuses as `quantize_blocks`."""
    if x.dtype not in INPUTS:
        raise ValueError(f"x is {x.dtype}; blocks take float16, 32, 64 or bfloat16")
    if arithmetic not in (torch.float32, torch.float64):
        raise ValueError(f"arithmetic={arithmetic}, not float32 or float64")
    if x.numel() == 0 or x.shape[-1] % fmt.block:
        raise ValueError(
            f"{fmt.name}: block={fmt.block} does not divide the last axis of x, "
            f"of shape {tuple(x.shape)}, into at least one block"
        )
    if bad := int(x.numel() - x.isfinite().sum()):
        raise ValueError(f"{fmt.name}: x holds {bad} infinities or NaN")
    return x.detach().to(arithmetic).unflatten(-1, (-1, fmt.block))
