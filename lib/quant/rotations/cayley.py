"""Gradient descent that never leaves the rotations: a step along Cayley's curve.

    W = Ŵ − Ŵᵀ,    Ŵ = M Xᵀ − ½ X (Xᵀ M Xᵀ)           skew: Wᵀ = −W
    X(α) = (I + α/2 W)⁻¹ (I − α/2 W) X                   orthogonal for every α
    d/dα f(X(α)) at 0 = −‖W‖²                           for M = ∂f/∂X: downhill

M is a running sum of gradients. For a square X the inner bracket halves what is not
skew already, so that W = ½ (M Xᵀ − X Mᵀ). The step α is the learning rate, or less
where W is so large that a step would turn too far: α <= 1 / ‖W‖.

The curve solves X(α) = X − α/2 W (X + X(α)). Putting an estimate in on the right gives
a better one: two rounds cost six products and no inverse, and leave the rotations by
O(α³). We solve it exactly, which is as fast at these sizes, and stays.

Read in order: `skew`, `cayley`, `CayleySGD`.  Taught in notebooks/07.
Sources: Li et al. 2020, "Efficient Riemannian optimization on the Stiefel manifold via
the Cayley transform", arXiv:2002.01113, algorithm 1; Liu et al. 2024, "SpinQuant",
arXiv:2405.16406, section 3.2, which learns rotations by it.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn


def skew(
    x: Float[Tensor, "*n d d"], gradient: Float[Tensor, "*n d d"]
) -> Float[Tensor, "*n d d"]:
    """W = Ŵ − Ŵᵀ: the direction at the rotation `x` in which f grows fastest."""
    turn = gradient @ x.mT
    turn = turn - 0.5 * x @ (x.mT @ turn)
    return turn - turn.mT


def cayley(
    x: Float[Tensor, "*n d d"],
    w: Float[Tensor, "*n d d"],
    step: float | Float[Tensor, "*n 1 1"],
) -> Float[Tensor, "*n d d"]:
    """(I + step/2 W)⁻¹ (I − step/2 W) X: as orthogonal as x, for any skew W."""
    eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    half = 0.5 * step * w
    return torch.linalg.solve(eye + half, (eye - half) @ x)


class CayleySGD:
    """Momentum descent on rotations, each a square matrix or a stack of them, in place.

    `zero_grad`, a loss's `backward`, `step(rate)`. ValueError for what is not square,
    for a momentum outside [0, 1), and for a rate that is not positive.
    """

    def __init__(self, rotations: Iterable[nn.Parameter], momentum: float = 0.9):
        self.rotations = list(rotations)
        for x in self.rotations:
            if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
                raise ValueError(f"a rotation is square, not {tuple(x.shape)}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum} is not in [0, 1)")
        self.momentum = momentum
        self.sums = [torch.zeros_like(x) for x in self.rotations]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for x in self.rotations:
            x.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step of at most `rate`; those without a gradient stay."""
        if not rate > 0:
            raise ValueError(f"rate={rate} must be positive")
        for i, x in enumerate(self.rotations):
            if x.grad is None:
                continue
            w = skew(x, self.momentum * self.sums[i] + x.grad)
            self.sums[i] = w @ x  # what of the sum runs along the rotations
            norm = torch.linalg.matrix_norm(w, keepdim=True)
            step = torch.clamp(1.0 / norm.clamp(min=1e-30), max=rate)
            x.copy_(cayley(x, w, step))
