"""QTIP at a layer: LDLQ over strips of 16 columns, each strip rounded by Viterbi.

    for each strip b:   Ŵ_b = rings nearest to W_b     later strips repair the error

block_rounding.py is the loop, lib/quant/trellis the quantizer. The levels are those of
N(0, 1) times one σ, so the weights should look like it: wrap the method,

    Incoherence(TrellisLDLQ(state_bits=12, bits=2))              is QTIP

Read in order: `TrellisLDLQ`.
Source: Tseng et al. 2024, "QTIP", arXiv:2406.11235, algorithm 5.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lib.quant.hessian import Hessian
from lib.quant.method import Method
from lib.quant.solvers.block_rounding import block_ldlq
from lib.quant.solvers.gptq import LoopSettings
from lib.quant.trellis.bitshift import Trellis
from lib.quant.trellis.matrix import TILE, TileQuantizer, TrellisMatrix
from lib.quant.uniform.grid import checked_matrix

# σ over the weights' rms, of least error for N(0, 1) at each k (L = 12, 3INST)
SPREAD = {1: 0.9, 2: 1.02, 3: 1.05, 4: 1.2}


@dataclass(frozen=True)
class TrellisLDLQ(Method):
    """A trellis of L = `state_bits`, k = `bits`, in LDLQ's loop; k bits a weight.

    `kind` names the levels, "3inst" or "1mad"; `spread` is σ over the weights' rms, by
    default what suits N(0, 1). λ is `damping` times mean diag H. Viterbi takes 2^L
    steps a weight. ValueError for no trellis, another kind, a bad spread or damping.
    """

    state_bits: int = 12
    bits: int = 2
    kind: str = "3inst"
    spread: float | None = None
    damping: float = 0.01

    calibrated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        LoopSettings(damping=self.damping)
        TileQuantizer(self.ratio, self.trellis, self.kind)

    @property
    def trellis(self) -> Trellis:
        """L and k."""
        return Trellis(self.state_bits, self.bits)

    @property
    def ratio(self) -> float:
        """σ over the weights' rms."""
        return SPREAD.get(self.bits, 1.3) if self.spread is None else self.spread

    def check(self, rows: int, cols: int) -> None:
        """ValueError for a side that tiles of 16 do not cover."""
        if rows % TILE or cols % TILE:
            raise ValueError(f"tiles of {TILE} x {TILE} do not cover {rows} x {cols}")

    def quantize(self, w: Tensor, inputs: Hessian) -> TrellisMatrix:
        """Quantize a layer's weight for the inputs that `inputs` has seen.

        ValueError as `check`, `block_ldlq`, and for weights that are all 0 or beyond
        fp16.
        """
        w = checked_matrix(w)
        self.check(*w.shape)
        scale = (self.ratio * w.square().mean().sqrt()).half()
        quantizer = TileQuantizer(scale.item(), self.trellis, self.kind)
        settings = LoopSettings(damping=self.damping)
        rounded = block_ldlq(w, inputs.matrix, quantizer, width=TILE, settings=settings)
        return TrellisMatrix(rounded.codes, scale, self.trellis, self.kind)
