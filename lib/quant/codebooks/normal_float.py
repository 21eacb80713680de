"""NormalFloat: sixteen levels at the quantiles of a normal, one scale a block.

    p_i evenly from δ down to 1/2          l_i = Φ⁻¹(p_i) / Φ⁻¹(δ)
    levels = {-l of 7 quantiles} ∪ {0} ∪ {l of 8 quantiles}
    c = max|w| of 64 weights,   q = nearest level to w / c,   ŵ = c l_q

Weights are nearly normal, and levels at its quantiles would be used equally often; but
a block is divided by its largest weight, about 2.4 σ, so that inner levels are used
more. Zero is exact; both ends are levels, so that the largest weight of a block comes
back exactly.
Guarantee: |w - ŵ| <= c · (widest gap between levels) / 2.

Codes, scales and ŵ equal bitsandbytes' on a CPU bit for bit, and so keep its habits:
a tie goes to the lower level; whole blocks multiply by 1/c, a last part-block divides
by c; the first of two codes is the high nibble (in packing.py's streams, the low one).
Read in order: `normal_float_levels`, `quantize_4bit`, `dequantize_4bit`. Taught in
notebooks/05.
Source: Dettmers et al. 2023, arXiv:2305.14314, section 3 and appendix E.
"""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lib.quant.codebooks.double import DoubleScales, dequantize_scales, quantize_scales
from lib.quant.hessian import Hessian
from lib.quant.method import Method

# 1 - (1/32 + 1/30)/2, halfway between the ends that 16 and 15 equal shares would have:
# 0.96770833…, in the seven digits that the published levels were computed with.
NF4_OFFSET = 0.9677083
TINY = 1e-38  # a block whose largest weight is below it is divided by this: it may be 0
FLOAT32_MAX = torch.finfo(torch.float32).max


@dataclass(frozen=True, eq=False)
class FourBit:
    """A tensor of any shape in packed 4-bit codes, with one scale a block."""

    packed: UInt8[Tensor, " bytes"]
    scales: Float[Tensor, " blocks"] | DoubleScales
    kind: str
    block: int
    shape: torch.Size
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of codes and scales."""
        return self.packed.nbytes + self.scales.nbytes

    def dequantize(self) -> Float[Tensor, "..."]:
        """ŵ, by `dequantize_4bit`."""
        return dequantize_4bit(self)

    @property
    def bits_per_weight(self) -> float:
        """Stored bits over weights: 4 + 0.5, or 4 + 0.127 with double quantization."""
        return 8 * self.nbytes / self.shape.numel()


def normal_float_levels(
    bits: int = 4, *, offset: float = NF4_OFFSET
) -> Float[Tensor, " levels"]:
    """2^(b-1) - 1 negative quantiles, 0, and 2^(b-1) positive ones, in [-1, 1].

    `offset` is δ, the probability below the largest level before it is scaled to 1.
    ValueError for bits outside 2 to 8 or an offset outside (1/2, 1).
    """
    if bits not in range(2, 9):
        raise ValueError(f"bits={bits} is not in 2 to 8")
    if not 0.5 < offset < 1:
        raise ValueError(f"offset={offset} is not between 0.5 and 1")
    return _normal_float_levels(bits, offset).clone()


@cache
def _normal_float_levels(bits: int, offset: float) -> Float[Tensor, " levels"]:
    half = 2 ** (bits - 1)
    positive = _quantiles(offset, half)
    negative = -_quantiles(offset, half - 1)
    levels = torch.cat([negative, torch.zeros(1), positive]).sort().values
    return levels / levels.max()


def _quantiles(offset: float, count: int) -> Float[Tensor, " count"]:
    """Φ⁻¹ at `count` probabilities evenly from `offset` towards, but without, 1/2."""
    p = torch.linspace(offset, 0.5, count + 1)[:-1]
    return torch.special.ndtri(p.double()).float()


def float4_levels() -> Float[Tensor, "16"]:
    """The FP4 of bitsandbytes, in the order of its codes, scaled so that 12 becomes 1.

    A sign and eight magnitudes of its own: 0, 1/16, 8, 12, 4, 6, 2, 3. Its exponents
    count down, and its subnormal 1/16 lies far below the next number, 2. It is not the
    E2M1 of OCP (0, ½, 1, 1½, 2, 3, 4, 6), found in `lib.formats`.
    """
    return _float4_levels().clone()


@cache
def _float4_levels() -> Float[Tensor, "16"]:
    exponents = torch.tensor([8.0, 4.0, 2.0])
    normals = torch.stack([exponents, 1.5 * exponents], 1).flatten()
    magnitudes = torch.cat([torch.tensor([0.0, 1 / 16]), normals])
    return torch.cat([magnitudes, -magnitudes]) / magnitudes.max() + 0.0  # no -0


KINDS = {"nf4": normal_float_levels, "fp4": float4_levels}


def quantize_4bit(
    w: Float[Tensor, "..."], *, kind: str = "nf4", block: int = 64, double: bool = False
) -> FourBit:
    """Quantize w, read in row-major order, in blocks; the last one may be shorter.

    `double` quantizes the scales too. Works in float32, whatever the dtype of w.
    ValueError for no elements, integers, NaN or infinity, numbers beyond float32's, an
    odd or non-positive block.
    """
    levels = _levels(kind).to(w.device)
    _check(w, block)
    scaled, scales = _scale_blocks(w.flatten().float(), block)
    order = levels.argsort(stable=True)  # fp4's codes are not ascending
    middles = (levels[order][:-1] + levels[order][1:]) / 2
    count = w.numel() + w.numel() % 2  # an odd tensor is packed with one more 0
    flat = scaled.flatten()[:count]
    above = torch.zeros_like(flat, dtype=torch.uint8)  # middles below the number: for
    for middle in middles:  # so few, comparing with each beats torch.bucketize
        above += flat > middle
    codes = order.to(torch.uint8)[above.int()]
    return FourBit(
        packed=codes[::2] << 4 | codes[1::2],
        scales=quantize_scales(scales) if double else scales,
        kind=kind,
        block=block,
        shape=w.shape,
        dtype=w.dtype,
    )


def dequantize_4bit(quantized: FourBit) -> Float[Tensor, "..."]:
    """ŵ = c l_q, multiplied in float32, in the shape and dtype of the original.

    A byte, which holds two codes, is looked up at once among the 256 pairs of levels.
    """
    scales = quantized.scales
    if isinstance(scales, DoubleScales):
        scales = dequantize_scales(scales)
    levels = _levels_on(quantized.kind, scales.device)
    pairs = torch.stack([levels.repeat_interleave(16), levels.repeat(16)], 1)
    count, block = quantized.shape.numel(), quantized.block
    w = pairs.index_select(0, quantized.packed.int()).flatten()[:count]
    whole = count // block * block  # numbers in whole blocks
    w[:whole].view(-1, block).mul_(scales[: whole // block, None])
    w[whole:] *= scales[-1]
    return w.to(quantized.dtype).view(quantized.shape)


@dataclass(frozen=True)
class NormalFloat(Method):
    """NF4 (or FP4) in blocks, its scales perhaps quantized too."""

    calibrated: ClassVar[bool] = False
    kind: str = "nf4"
    block: int = 64
    double: bool = False

    def quantize(self, w: Tensor, inputs: Hessian | None = None) -> FourBit:
        """Round `w`; the inputs do not matter."""
        return quantize_4bit(w, kind=self.kind, block=self.block, double=self.double)


def fake_quantize_4bit(
    w: Float[Tensor, "..."], *, kind: str = "nf4", block: int = 64, double: bool = False
) -> Float[Tensor, "..."]:
    """Round w onto its 4-bit levels and back."""
    return dequantize_4bit(quantize_4bit(w, kind=kind, block=block, double=double))


def round_to_levels(
    w: Float[Tensor, "..."], levels: Float[Tensor, " levels"], *, block: int = 64
) -> Float[Tensor, "..."]:
    """Round w, block by block, onto any ascending levels in [-1, 1] times its scale.

    `round_to_levels(w, normal_float_levels(3))` is a 3-bit NormalFloat. Errors as in
    `quantize_4bit`; ValueError too for levels that do not ascend within [-1, 1].
    """
    _check(w, block)
    if not ((levels.diff() > 0).all() and -1 <= levels[0] <= levels[-1] <= 1):
        raise ValueError(f"levels {levels.tolist()} do not ascend within [-1, 1]")
    scaled, scales = _scale_blocks(w.flatten().float(), block)
    codes = torch.bucketize(scaled, (levels[:-1] + levels[1:]) / 2)
    w_hat = (levels[codes] * scales[:, None]).flatten()[: w.numel()]
    return w_hat.view(w.shape).to(w.dtype)


def _scale_blocks(
    flat: Float[Tensor, " n"], block: int
) -> tuple[Float[Tensor, "blocks block"], Float[Tensor, " blocks"]]:
    """Every block over its largest magnitude, in [-1, 1], and those magnitudes."""
    ragged = len(flat) % block
    runs = torch.nn.functional.pad(flat, (0, -ragged % block)).view(-1, block)
    scales = runs.abs().amax(1)
    scaled = runs * (1 / scales.clamp(min=TINY))[:, None]
    if ragged:
        scales[-1] = scales[-1].clamp(min=TINY)
        scaled[-1] = runs[-1] / scales[-1]
    return scaled.clamp(-1, 1), scales


@cache
def _levels_on(kind: str, device: torch.device) -> Float[Tensor, "16"]:
    """The levels there: copied once, for a CUDA graph cannot record a copy."""
    return _levels(kind).to(device)


def _levels(kind: str) -> Float[Tensor, "16"]:
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of {', '.join(KINDS)}")
    return KINDS[kind]()


def _check(w: Tensor, block: int) -> None:
    if block < 2 or block % 2:
        raise ValueError(f"block={block} is not a positive even number")
    if not w.is_floating_point():
        raise ValueError(f"w is {w.dtype}: convert it to floating point first")
    if not w.numel():
        raise ValueError(f"w of shape {tuple(w.shape)} has no elements")
    if not (finite := w.isfinite()).all():
        raise ValueError(f"w holds {(~finite).sum().item()} NaN or infinite values")
    if w.dtype == torch.float64 and (top := w.abs().amax()) > FLOAT32_MAX:
        raise ValueError(f"w reaches {top:.3g}; scales are kept in float32")
