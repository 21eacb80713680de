"""Codes for weights that are normal: from one weight a code to eight.

    x ≈ decode(codes),  x ~ N(0, 1);  mean squared error against bits, at 2 bits:
    ScalarCode   Lloyd-Max levels, a weight at a time              0.1175
    E8Code       E8P, eight weights at a time                      0.0914
    D(R) = 2^(−2R), a limit of every code of any length            0.0625

E8Code goes to 3 and 4 bits as QuIP# does, in two steps: what E8P leaves over is coded
again, magnified, by 256 points of E8 (1 bit a weight) or by E8P (2 bits). The best
magnifications are those of the mean squared error on N(0, 1): SCALES.

All bits are in the bytes: eight weights are `bits` bytes.

Read in order: `VectorCode`, `E8Code`, `ScalarCode`, `gaussian_distortion`.
Sources: Tseng et al. 2024 (QuIP#), arXiv:2402.04396, sections 4.2 and 4.3; Max 1960,
"Quantizing for minimum distortion".
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lib.quant.codebooks.codebook import nearest
from lib.quant.lattices.e8p import decode_e8p, nearest_e8p
from lib.quant.lattices.moment import Estimate
from lib.quant.uniform.packing import pack, unpack

SCALES = {2: (1.03,), 3: (0.98, 2.05), 4: (0.98, 3.6)}


@runtime_checkable
class VectorCode(Protocol):
    """A code for `width` weights at a time, made for N(0, 1)."""

    bits: int  # a weight

    @property
    def width(self) -> int:
        """How many weights are coded together."""

    def encode(self, x: Float[Tensor, "*batch d"]) -> UInt8[Tensor, "*batch k"]:
        """The code of each vector of `width` numbers."""

    def decode(self, codes: UInt8[Tensor, "*batch k"]) -> Float[Tensor, "*batch d"]:
        """What the codes stand for, in float32."""

    def pack(self, codes: UInt8[Tensor, "*batch k"]) -> UInt8[Tensor, " bytes"]:
        """The codes without a gap between them."""

    def unpack(self, packed: UInt8[Tensor, " bytes"], count: int) -> Tensor:
        """(count, k): the codes of `count` vectors that `pack` packed."""


@dataclass(frozen=True)
class E8Code:
    """E8P at 2 bits; at 3 and 4 its remainder is coded too. ValueError for other bits.

    A vector's code is a byte for each bit: E8P's two, and then those of the remainder.
    """

    bits: int = 2

    def __post_init__(self) -> None:
        if self.bits not in SCALES:
            raise ValueError(f"bits={self.bits} is not one of {sorted(SCALES)}")

    @property
    def width(self) -> int:
        """Eight: the lattice's dimensions."""
        return 8

    def encode(self, x: Float[Tensor, "*batch 8"]) -> UInt8[Tensor, "*batch bits"]:
        """The nearest point, and what is nearest to the remainder of that."""
        first, *second = SCALES[self.bits]
        codes = nearest_e8p(first * x)
        if not second:
            return codes
        rest = (first * x - decode_e8p(codes)) * second[0]
        again = nearest_ball(rest) if self.bits == 3 else nearest_e8p(rest)
        return torch.cat([codes, again], -1)

    def decode(self, codes: UInt8[Tensor, "*batch bits"]) -> Float[Tensor, "*batch 8"]:
        """The points, and the remainders on top, in units of a standard deviation."""
        first, *second = SCALES[self.bits]
        x = decode_e8p(codes[..., :2])
        if second:
            rest = codes[..., 2:]
            rest = decode_ball(rest) if self.bits == 3 else decode_e8p(rest)
            x = x + rest / second[0]
        return x / first

    def pack(self, codes: UInt8[Tensor, "*batch bits"]) -> UInt8[Tensor, " bytes"]:
        """They are bytes already."""
        return codes.flatten()

    def unpack(self, packed: UInt8[Tensor, " bytes"], count: int) -> Tensor:
        """(count, bits); ValueError for bytes that are not those of `count` codes."""
        if len(packed) != count * self.bits:
            raise ValueError(f"{len(packed)} bytes, not {self.bits} for {count} codes")
        return packed.view(count, self.bits)


@cache
def ball() -> Float[Tensor, "256 8"]:
    """256 short points of E8: 0, its 240 roots, and 15 of ‖x‖² = 4. Do not write to it.

    The 112 roots (±1, ±1, 0 …) and 128 of ±½ with an even sum; the 15 are all but one
    of ±2 along an axis.
    """
    trits = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 8)
    whole = trits[trits.square().sum(1) == 2]
    half = torch.cartesian_prod(*[torch.tensor([-0.5, 0.5])] * 8)
    half = half[half.sum(1) % 2 == 0]
    axes = 2 * torch.eye(8)
    return torch.cat([torch.zeros(1, 8), whole, half, axes, -axes[:-1]])


def nearest_ball(x: Float[Tensor, "*batch 8"]) -> UInt8[Tensor, "*batch 1"]:
    """Which of `ball`'s points is nearest, by a search over them: one product."""
    points = ball().to(x)
    gain = x @ points.T - points.square().sum(1) / 2
    return gain.argmax(-1, keepdim=True).to(torch.uint8)


def decode_ball(codes: UInt8[Tensor, "*batch 1"]) -> Float[Tensor, "*batch 8"]:
    """The points, float32."""
    return ball().to(codes.device)[codes[..., 0].int()]


@dataclass(frozen=True)
class ScalarCode:
    """Lloyd-Max: the 2^bits levels of least error for N(0, 1); 1 to 8 bits.

    ValueError for other bits.
    """

    bits: int = 2

    def __post_init__(self) -> None:
        if self.bits not in range(1, 9):
            raise ValueError(f"bits={self.bits} is not in 1 to 8")

    @property
    def width(self) -> int:
        """One weight at a time."""
        return 1

    def encode(self, x: Float[Tensor, "*batch 1"]) -> UInt8[Tensor, "*batch 1"]:
        """The nearest level of each number."""
        levels = normal_levels(self.bits).to(x)
        return nearest(x.reshape(1, -1), levels[None]).view(x.shape).to(torch.uint8)

    def decode(self, codes: UInt8[Tensor, "*batch 1"]) -> Float[Tensor, "*batch 1"]:
        """The levels, float32."""
        return normal_levels(self.bits).float().to(codes.device)[codes.int()]

    def pack(self, codes: UInt8[Tensor, "*batch 1"]) -> UInt8[Tensor, " bytes"]:
        """`bits` bits a code."""
        return pack(codes, self.bits)

    def unpack(self, packed: UInt8[Tensor, " bytes"], count: int) -> Tensor:
        """(count, 1); ValueError as `lib.quant.unpack`."""
        return unpack(packed, self.bits, count)[:, None]


@cache
def normal_levels(bits: int, *, iterations: int = 3000) -> Float[Tensor, " k"]:
    """Lloyd's iteration on the density of N(0, 1) itself, ascending, in float64.

    A level is its cell's mean, (φ(a) − φ(b)) / (Φ(b) − Φ(a)). Do not write to it.
    """
    normal = torch.distributions.Normal(*torch.tensor([0.0, 1.0], dtype=torch.float64))
    ends = torch.tensor([math.inf], dtype=torch.float64)
    levels = normal.icdf((torch.arange(2**bits, dtype=torch.float64) + 0.5) / 2**bits)
    for _ in range(iterations):
        cuts = torch.cat([-ends, (levels[:-1] + levels[1:]) / 2, ends])
        density = (-cuts.square() / 2).exp() / math.sqrt(2 * math.pi)
        levels = -density.diff() / normal.cdf(cuts).diff()
    return levels


def gaussian_distortion(
    code: VectorCode, *, samples: int = 2**20, seed: int = 0
) -> Estimate:
    """Mean squared error of the code on N(0, 1), by `samples` draws, a weight.

    To be read beside `rate_distortion`, below which no code of its bits can come.
    """
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(samples // code.width, code.width, generator=draw)
    error = (x - code.decode(code.encode(x))).square().mean(1)
    return Estimate(
        error.mean().item(), 1.96 * (error.std() / len(error) ** 0.5).item()
    )


def rate_distortion(bits: int | float) -> float:
    """D(R) = 2^(−2R) for N(0, 1): Shannon's limit at R = `bits` bits a weight."""
    return 2.0 ** (-2 * bits)
