"""Three levels: the weights of BitNet b1.58.

    γ = mean |W|     T = clip(round(W / γ), −1, 1)     ŵ = γ T
    backward         ∂ŵ/∂w := 1, everywhere: nothing is masked

One γ serves a whole matrix. With inputs in 8 bits, x̂ = η q (tokens.py), a layer is a
product of small integers and one factor a token: y = γ η T q, and no multiplication
with a weight at all, only ± and 0.
log2(3) = 1.585 bits hold a trit; five of them in a byte (trits.py) take 1.6.

γ T is no fixed point: where some trits are 0, mean |γ T| < γ, and rounding γ T again
gives another scale. So `Ternary` keeps γ beside T.

Read in order: `ternary_codes`, `ternarize`, `Ternary`, `BitNet158`.
Taught in notebooks/08.
Source: Ma et al. 2024, "The Era of 1-bit LLMs", arXiv:2402.17764, section 2.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor

from lib.quant.aware.ste import straight_through
from lib.quant.aware.tokens import token_codes
from lib.quant.aware.trits import pack_trits, trit_product, unpack_trits
from lib.quant.hessian import Hessian
from lib.quant.method import Method
from lib.quant.uniform.grid import checked_matrix


def ternary_codes(
    w: Float[Tensor, "rows cols"],
) -> tuple[Int8[Tensor, "rows cols"], Float[Tensor, ""]]:
    """T in −1, 0, 1, and γ; a matrix of zeros has γ = 0 and T = 0.

    ValueError as `checked_matrix`: NaN, infinity, no elements, integers.
    """
    w = checked_matrix(w)
    gamma = w.abs().mean()
    if gamma == 0:
        return torch.zeros_like(w, dtype=torch.int8), gamma
    return (w / gamma).round().clamp(-1, 1).to(torch.int8), gamma


def ternarize(w: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
    """γ T in the dtype of w; backward the identity. ValueError as `ternary_codes`."""
    codes, gamma = ternary_codes(w.detach())
    return straight_through(w, (codes * gamma).to(w.dtype))


@dataclass(frozen=True, eq=False)
class Ternary:
    """A matrix of trits, five in a byte, and its scale γ in fp16."""

    packed: UInt8[Tensor, "rows bytes"]
    scale: Float[Tensor, ""]
    cols: int

    @property
    def bits_per_weight(self) -> float:
        """Bits of the bytes, the last of each row included, and of γ."""
        bits = 8 * self.packed.numel() + 16
        return bits / (len(self.packed) * self.cols)

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """γ T in float32."""
        return self.scale.float() * unpack_trits(self.packed, self.cols)

    def product(self, x: Float[Tensor, "tokens cols"]) -> Float[Tensor, "tokens rows"]:
        """x̂ ŵᵀ with inputs in 8 bits, by look-ups in the packed bytes.

        The integers are summed exactly; γ and the token's step come in at the end.
        """
        codes, step = token_codes(x)
        return trit_product(codes, self.packed) * (step * self.scale.float())


@dataclass(frozen=True)
class BitNet158(Method):
    """Round a trained matrix to three levels; needs no calibration, and ruins most.

    After training with `ternarize` it changes nothing but the fp16 of γ.
    """

    calibrated: ClassVar[bool] = False

    def quantize(self, w: Tensor, inputs: Hessian | None = None) -> Ternary:
        """The trits of `w`; ValueError as `ternary_codes`, and for γ beyond fp16."""
        codes, gamma = ternary_codes(w)
        if not gamma.half().isfinite():
            raise ValueError(f"mean |w| = {gamma.item():.3g} exceeds fp16's 65504")
        return Ternary(pack_trits(codes), gamma.half(), w.shape[1])
