"""A matrix of rings: every tile of 16 x 16 weights is a ring of 256 codes.

    ŵ = σ v(s_t)       σ one fp16 number,   t the place in the tile, row by row

    bits a weight = k + 16 / (rows cols), and no table: the levels are computed

A tile is as wide as what LDLQ rounds at once (`TileQuantizer` is a block quantizer of
solvers/block_rounding.py), and long enough that closing the ring costs little: at
L = 12 rings of 64 err 2 % more than rings of 256, and rings of 32 13 %. All levels are
those of N(0, 1), so W must look like it: rotate it first.

Read in order: `tiles`, `untiled`, `TileQuantizer`, `TrellisMatrix`.
Source: Tseng et al. 2024, "QTIP", arXiv:2406.11235, section 4.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Integer, Shaped
from torch import Tensor

from lib.quant.trellis.bitshift import Trellis, codes_of, states_of
from lib.quant.trellis.node_values import COMPUTED, node_values
from lib.quant.trellis.viterbi import ring_viterbi

TILE = 16


def tiles(w: Shaped[Tensor, "rows cols"]) -> Shaped[Tensor, "down across 256"]:
    """The tiles of a matrix, each row by row; ValueError for a side 16 leaves over."""
    if w.shape[0] % TILE or w.shape[1] % TILE:
        raise ValueError(f"tiles of {TILE} x {TILE} do not cover {tuple(w.shape)}")
    cut = w.unflatten(1, (-1, TILE)).unflatten(0, (-1, TILE))  # (down, r, across, c)
    return cut.transpose(1, 2).flatten(2)


def untiled(x: Shaped[Tensor, "down across 256"]) -> Shaped[Tensor, "rows cols"]:
    """The matrix that `tiles` cut."""
    return x.unflatten(2, (TILE, TILE)).transpose(1, 2).flatten(2).flatten(0, 1)


@dataclass(frozen=True, eq=False)
class TileQuantizer:
    """Rounds a strip of 16 columns, (rows, 16), to rings: Ŵ and codes (rows/16, 256).

    σ is the `scale` of the levels. `kind` is one of `COMPUTED`: a table would have to
    be stored. ValueError for another kind, and a scale that is not positive and finite.
    """

    scale: float
    trellis: Trellis = field(default_factory=Trellis)
    kind: str = "3inst"

    def __post_init__(self) -> None:
        _check(self.kind)
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"scale={self.scale} must be positive and finite")

    def __call__(
        self, strip: Float[Tensor, "rows 16"]
    ) -> tuple[Float[Tensor, "rows 16"], Integer[Tensor, "down 256"]]:
        """Ŵ of the strip in its dtype, and the codes; ValueError as `tiles`."""
        values = node_values(self.kind, self.trellis.state_bits).to(strip)
        rings = tiles(strip)[:, 0]
        states = ring_viterbi(rings / self.scale, values, self.trellis)
        rounded = untiled((self.scale * values[states])[:, None])
        return rounded, codes_of(states, self.trellis).to(torch.uint8)


@dataclass(frozen=True, eq=False)
class TrellisMatrix:
    """Rings of codes, k bits each, and σ; levels by `kind`, one of `COMPUTED`.

    ValueError for another kind.
    """

    codes: Integer[Tensor, "down across 256"]
    scale: Float[Tensor, ""]
    trellis: Trellis
    kind: str = "3inst"

    def __post_init__(self) -> None:
        _check(self.kind)

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """Ŵ in float32: shifts, and a computed level for each weight."""
        states = states_of(self.codes.flatten(0, 1), self.trellis)
        levels = COMPUTED[self.kind](states).view(self.codes.shape)
        return self.scale.float() * untiled(levels)

    @property
    def bits_per_weight(self) -> float:
        """k, and 16 for σ."""
        return self.trellis.bits + 16 / self.codes.numel()


def _check(kind: str) -> None:
    if kind not in COMPUTED:
        raise ValueError(f"kind={kind!r} is not one of {sorted(COMPUTED)}")
