"""Double quantization: the scales of the blocks are numbers too, so quantize them.

    c ≈ μ + c₂ d[q],     μ = mean(c),     c₂ = max|c - μ| over 256 scales
    bits a parameter, blocks of 64:   32/64 = 0.5   →   8/64 + 32/(64·256) = 0.127

The map d is the "dynamic" one of 8 bits: a sign, a decimal exponent in unary (a run of
zeros, then a one), and a fraction in the bits that are left:

    d = 0, 1 and ± 10^(e-6) · (middle of the j-th of 2^e parts of 0.1 … 1),   e = 0 … 6

so that numbers near 1 get 64 levels a decade and numbers near 1e-6 a single one.
Guarantee: |c - ĉ| <= c₂ · (half the widest gap of d + 1/65535). The last term is there
because, like bitsandbytes on a CPU, we look levels up in a table of 2^16 even steps.
Read in order: `dynamic_levels`, `quantize_scales`, `dequantize_scales`.
Sources: Dettmers et al. 2023, arXiv:2305.14314, section 3; Dettmers 2015,
arXiv:1511.04561, section 2.
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

DECADES = 7  # the exponents 1e-6 … 1 of the dynamic map
FINE = 2**16 - 1  # steps of the table that bitsandbytes' CPU code looks levels up in
NESTED_BLOCK = 256


@dataclass(frozen=True, eq=False)
class DoubleScales:
    """Scales in 8 bits: codes, one float32 a block of them, and their mean.

    The paper calls them quantization constants, of a first and a second level.
    """

    codes: UInt8[Tensor, " blocks"]
    scales: Float[Tensor, " nested_blocks"]
    mean: Float[Tensor, ""]
    block: int = NESTED_BLOCK

    @property
    def nbytes(self) -> int:
        """Bytes of everything that dequantization needs."""
        return self.codes.nbytes + self.scales.nbytes + self.mean.nbytes


def dynamic_levels() -> Float[Tensor, "256"]:
    """The 256 levels of the signed 8-bit dynamic map, ascending, in float32."""
    return _dynamic_levels().clone()


@cache
def _dynamic_levels() -> Float[Tensor, "256"]:
    positive = []
    for e in range(DECADES):
        edges = torch.linspace(0.1, 1.0, 2**e + 1)
        middles = (edges[:-1] + edges[1:]) / 2
        positive.append(10.0 ** (e + 1 - DECADES) * middles)
    positive = torch.cat(positive)  # 2^7 - 1 levels
    return torch.cat([positive, -positive, torch.tensor([0.0, 1.0])]).sort().values


def quantize_scales(
    scales: Float[Tensor, " blocks"], *, block: int = NESTED_BLOCK
) -> DoubleScales:
    """Subtract the mean, then give 8 bits to each scale in blocks of `block`.

    ValueError for no scales, NaN or infinity, scales so large that their sum overflows
    float32, or a block below 1.
    """
    if scales.ndim != 1 or not scales.numel():
        raise ValueError(f"scales have shape {tuple(scales.shape)}, not (blocks,)")
    if not scales.isfinite().all():
        raise ValueError(f"{(~scales.isfinite()).sum()} scales are not finite")
    if block < 1:
        raise ValueError(f"block={block} is not positive")
    scales = scales.float()
    mean = scales.mean()
    if not mean.isfinite():
        worst = scales.abs().amax().item()
        raise ValueError(f"the mean of scales up to {worst:.3g} overflows float32")
    count = len(scales)
    runs = torch.nn.functional.pad(scales - mean, (0, -count % block))
    runs = runs.view(-1, block)
    nested = runs.abs().amax(1)  # (nested_blocks,)
    scaled = runs * (1 / nested)[:, None]
    codes = torch.where(
        nested[:, None] > 0,
        _nearest_dynamic(scaled.nan_to_num(0, 0, 0)),
        0,  # a block of equal scales: any level times 0 is 0
    )
    return DoubleScales(codes.flatten()[:count].to(torch.uint8), nested, mean, block)


def dequantize_scales(double: DoubleScales) -> Float[Tensor, " blocks"]:
    """ĉ = d[q] c₂ + μ, in float32."""
    nested = double.scales.repeat_interleave(double.block)[: len(double.codes)]
    levels = _dynamic_levels().to(nested.device)
    return levels[double.codes.long()] * nested + double.mean


def _nearest_dynamic(x: Float[Tensor, "..."]) -> Tensor:
    """Code of the level nearest to x in [-1, 1], by a table of 2^16 entries."""
    table = _dynamic_table().to(x.device)
    return table[((x.clamp(-1, 1) + 1) * 0.5 * FINE + 0.5).long()]


@cache
def _dynamic_table() -> Tensor:
    levels = _dynamic_levels()
    fine = -1 + (2.0 * torch.arange(FINE + 1)) / FINE
    return torch.bucketize(fine, (levels[:-1] + levels[1:]) * 0.5)
