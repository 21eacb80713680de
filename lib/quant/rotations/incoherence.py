"""Incoherence: rotate a layer's weights on both sides, so that no entry stands out.

    W̃ = U W Vᵀ     H̃ = V H Vᵀ     U = Hadamard · signs / √m,  V the same of n
    W x = Uᵀ (W̃ (V x)),     tr(Δ̃ H̃ Δ̃ᵀ) = tr(Δ H Δᵀ)  for Δ̃ = U Δ Vᵀ
    μ(W) = max |W_ij| · √(mn) / ‖W‖_F           μ(H) = max |Q_ij| · √n,  H = Q Λ Qᵀ

Random signs make the transform of any fixed matrix look like noise: μ(W̃) is at most
about 2 log(4mn/δ) but for probability δ, whatever W was, and weights get nearly normal.
Then one scale serves the matrix, and a code made for N(0, 1) serves every layer.
What it costs: two transforms a product, of n log n, and m + n signs of a bit each.

`Incoherence` does that around any other method, and `Incoherent` is its matrix.

Read in order: `SignedHadamard`, `weight_incoherence`, `Incoherence`, `Incoherent`.
Sources: Chee et al. 2023 (QuIP), arXiv:2307.13304, section 4.2; Tseng et al. 2024
(QuIP#), arXiv:2402.04396, section 3.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lib.quant.hessian import Hessian
from lib.quant.method import Method, Quantized
from lib.quant.rotations.hadamard import (
    hadamard_factors,
    hadamard_transform,
    inverse_hadamard_transform,
)


@dataclass(frozen=True, eq=False)
class SignedHadamard:
    """The rotation x -> Hadamard(signs · x) / √n, along the last dimension of x."""

    signs: Float[Tensor, " n"]  # 1 or −1; fine-tuned (lib/train/blocks), any numbers

    @classmethod
    def draw(cls, n: int, generator: torch.Generator) -> "SignedHadamard":
        """Random signs. ValueError for an n without a Hadamard matrix of ours."""
        hadamard_factors(n)
        return cls(2.0 * torch.randint(2, (n,), generator=generator) - 1)

    @property
    def bits(self) -> int:
        """What holds the signs: a bit each, or fp16 once they were fine-tuned."""
        return len(self.signs) * (1 if (self.signs.abs() == 1).all() else 16)

    def forward(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        """V x for every vector; its norm and dtype stay."""
        return hadamard_transform(x * self.signs.to(x))

    def inverse(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        """Vᵀ x: what `forward` took."""
        return inverse_hadamard_transform(x) * self.signs.to(x)


def rotate_weight(
    w: Float[Tensor, "m n"], left: SignedHadamard, right: SignedHadamard
) -> Float[Tensor, "m n"]:
    """W̃ = U W Vᵀ, in the dtype of w."""
    return left.forward(right.forward(w).T).T.contiguous()


def restore_weight(
    w: Float[Tensor, "m n"], left: SignedHadamard, right: SignedHadamard
) -> Float[Tensor, "m n"]:
    """W = Uᵀ W̃ V: what `rotate_weight` took."""
    return left.inverse(right.inverse(w).T).T.contiguous()


def weight_incoherence(w: Float[Tensor, "m n"]) -> float:
    """μ: the largest entry in units of the root mean square; 1 at best, √(mn) at worst.

    ValueError for a matrix of zeros.
    """
    if not (norm := torch.linalg.norm(w.double()).item()):
        raise ValueError(f"w {tuple(w.shape)} is zero: it has no largest entry")
    return w.abs().amax().item() * w.numel() ** 0.5 / norm


def hessian_incoherence(hessian: Float[Tensor, "n n"]) -> float:
    """μ of the eigenvectors' entries; 1 at best, √n where one is a coordinate axis."""
    vectors = torch.linalg.eigh(hessian.double()).eigenvectors
    return vectors.abs().amax().item() * len(hessian) ** 0.5


@dataclass(frozen=True, eq=False)
class Incoherent:
    """W̃ quantized by some method, and the signs of both rotations."""

    inner: Quantized
    left: SignedHadamard
    right: SignedHadamard

    def dequantize(self) -> Float[Tensor, "m n"]:
        """Ŵ = Uᵀ W̃̂ V: in the layer's own coordinates."""
        return restore_weight(self.inner.dequantize(), self.left, self.right)

    def product(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch m"]:
        """Ŵ x = Uᵀ (W̃̂ (V x)): rotates the vectors, never the matrix."""
        inner = self.inner.dequantize().to(x.dtype)
        return self.left.inverse(self.right.forward(x) @ inner.T)

    @property
    def bits_per_weight(self) -> float:
        """Those of W̃̂, and of both sides' signs."""
        weights = len(self.left.signs) * len(self.right.signs)
        return self.inner.bits_per_weight + (self.left.bits + self.right.bits) / weights


@dataclass(frozen=True)
class Incoherence(Method):
    """Quantize by `inner` what random Hadamard rotations, drawn by `seed`, make of W.

    Every layer of a shape gets the same signs. ValueError for an `inner` that prepares
    the model: it would not see what it prepared.
    """

    inner: Method
    seed: int = 0

    def __post_init__(self) -> None:
        if type(self.inner).prepare is not Method.prepare:
            raise ValueError(f"{self.inner!r} rearranges the model: it needs its own W")

    @property
    def calibrated(self) -> bool:
        """Whether `inner` reads the inputs."""
        return self.inner.calibrated

    def at(self, name: str) -> Method:
        """The same around the inner method for this layer."""
        return replace(self, inner=self.inner.at(name))

    def check(self, rows: int, cols: int) -> None:
        """ValueError for sizes without a Hadamard matrix, and what `inner` refuses."""
        hadamard_factors(rows)
        hadamard_factors(cols)
        self.inner.check(rows, cols)

    def quantize(self, w: Tensor, inputs: Hessian | None) -> Incoherent:
        """Rotate w and H, quantize, and keep the signs. ValueError as `check`."""
        draw = torch.Generator().manual_seed(self.seed)
        left, right = (SignedHadamard.draw(size, draw) for size in w.shape)
        moment = None if inputs is None else inputs.after(right.forward)
        wide = w if w.dtype == torch.float64 else w.float()
        rotated = rotate_weight(wide, left, right)
        return Incoherent(self.inner.quantize(rotated, moment), left, right)
