"""A matrix in a code for normal weights, by block LDLQ: the middle of QuIP#.

    Ŵ = σ · decode(codes),    σ = rms(W) · stretch,    codes chosen by block_rounding.py

One σ serves the whole matrix. That suits weights that are alike everywhere and nearly
normal, as `Incoherence` makes them (lib/quant/rotations/incoherence.py), and no others:

    quip_sharp(bits=2) = Incoherence(BlockLDLQ(E8Code(2)))

The feedback adds earlier errors to the weights that are still to be coded, so that they
are wider than W; which `stretch` is best is searched, by the error that the loop books.

Read in order: `BlockLDLQ`, `Coded`, `quip_sharp`.
Source: Tseng et al. 2024 (QuIP#), arXiv:2402.04396, section 4 and algorithm 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lib.quant.hessian import Hessian
from lib.quant.lattices.codes import E8Code, VectorCode
from lib.quant.method import Method
from lib.quant.rotations.incoherence import Incoherence
from lib.quant.solvers.block_rounding import BlockRounded, block_ldlq
from lib.quant.solvers.gptq import LoopSettings
from lib.quant.uniform.grid import checked_matrix
from lib.quant.uniform.grouped import index_dtype

SCALE_BITS = 32


@dataclass(frozen=True, eq=False)
class Coded:
    """The packed codes of a matrix, row by row, and its one scale, in float32."""

    packed: UInt8[Tensor, " bytes"]
    scale: Float[Tensor, ""]
    code: VectorCode
    shape: tuple[int, int]
    order: Tensor | None = None  # of the columns as they were cut into vectors

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """ŵ = σ · decode(codes), columns in their own order, float32."""
        rows, cols = self.shape
        codes = self.code.unpack(self.packed, rows * cols // self.code.width)
        w = self.scale * self.code.decode(codes).view(rows, cols)
        if self.order is None:
            return w
        return torch.empty_like(w).index_copy_(1, self.order, w)

    @property
    def bits_per_weight(self) -> float:
        """Codes, the scale, and the order if one is stored."""
        rows, cols = self.shape
        order = 0 if self.order is None else 8 * index_dtype(cols).itemsize * cols
        return (8 * len(self.packed) + SCALE_BITS + order) / (rows * cols)


@dataclass(frozen=True, kw_only=True)
class BlockLDLQ(LoopSettings, Method):
    """Settings: E8P, with feedback; σ = rms(W) times the best one of `stretches`.

    `feedback=False` codes every vector as it is: what the loop is worth shows beside
    it. ValueError for no stretch, or one that is not positive, and as `LoopSettings`.
    """

    code: VectorCode = E8Code()  # noqa: RUF009 - frozen
    stretches: tuple[float, ...] = (1.0,)
    feedback: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stretches or not min(self.stretches) > 0:
            raise ValueError(
                f"stretches={self.stretches} must be above 0, and not none"
            )

    def check(self, rows: int, cols: int) -> None:
        """ValueError for columns that are no whole vectors."""
        if cols % self.code.width:
            raise ValueError(f"width={self.code.width} does not divide {cols} columns")

    def quantize(self, w: Tensor, inputs: Hessian) -> Coded:
        """Code a layer's weight for the inputs that `inputs` has seen."""
        self.check(*w.shape)
        w = checked_matrix(w)
        rms = w.square().mean().sqrt().clamp(min=torch.finfo(torch.float32).tiny)
        tries = [self._coded(w, inputs.matrix, s * rms.float()) for s in self.stretches]
        scale, done = min(tries, key=lambda pair: pair[1].error)
        packed = self.code.pack(done.codes)
        return Coded(packed, scale, self.code, tuple(w.shape), done.order)

    def _coded(
        self, w: Tensor, hessian: Tensor, scale: Tensor
    ) -> tuple[Tensor, BlockRounded]:
        """The matrix by this σ."""

        def quantizer(x: Tensor) -> tuple[Tensor, Tensor]:
            codes = self.code.encode(x / scale)
            return scale * self.code.decode(codes).to(x), codes

        if not self.feedback:
            hessian = torch.diag(hessian.diagonal())
        done = block_ldlq(w, hessian, quantizer, width=self.code.width, settings=self)
        return scale, done


def quip_sharp(
    bits: int = 2, *, seed: int = 0, stretches: tuple[float, ...] = (1.0,)
) -> Incoherence:
    """QuIP# without its fine-tuning: rotate both sides, E8 codes, block LDLQ.

    2, 3 or 4 bits a weight, and for signs and scale less than 0.01 more on all layers
    but the smallest. ValueError for other bits.
    """
    inner = BlockLDLQ(code=E8Code(bits), stretches=stretches)
    return Incoherence(inner, seed=seed)
