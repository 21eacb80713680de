"""A gate that is exactly 0 or 1 with positive probability, and still has a gradient.

    s = σ((log u − log(1 − u) + log α) / β),   u ~ U(0, 1)        a smooth coin
    z = min(1, max(0, γ + (ζ − γ) s)),         γ < 0, 1 < ζ       stretched, then cut

    P(z ≠ 0) = σ(log α − β log(−γ / ζ))        Σ of it is the expected L0 norm
    at test time   ẑ = min(1, max(0, γ + (ζ − γ) σ(log α)))

The loss is E[L(z ⊙ θ)] + λ Σ P(z ≠ 0): the number of parts that are on, which nobody
can differentiate, became a smooth function of log α. A sigmoid alone, or one with
Gaussian noise, is never 0, and prunes nothing.

The gate at test time closes at log α = log(−γ / ζ), long before P(z ≠ 0) is small: with
the paper's numbers P is 0.31 there. The expected size and the size that one gets are
not the same number.

Read in order: `HardConcrete`.
Source: Louizos, Welling & Kingma 2018, arXiv:1712.01312, section 2.2 and 2.3; numbers:
its appendix, β = 2/3, γ = −0.1, ζ = 1.1.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class HardConcrete:
    """The shape of the gates; ValueError unless β > 0 and γ < 0 < 1 < ζ."""

    beta: float = 2 / 3
    gamma: float = -0.1
    zeta: float = 1.1

    def __post_init__(self) -> None:
        """Refuse a gate that is never 0, or never 1."""
        if not (self.beta > 0 and self.gamma < 0 and self.zeta > 1):
            raise ValueError(
                f"beta={self.beta}, gamma={self.gamma}, zeta={self.zeta}: a gate needs "
                "beta > 0, gamma < 0 and zeta > 1"
            )

    def sample(
        self, log_alpha: Float[Tensor, "*gates"], u: Float[Tensor, "*gates"]
    ) -> Float[Tensor, "*gates"]:
        """z for random numbers u in (0, 1); differentiable in log α.

        ValueError for a u outside: log u has to be finite.
        """
        if not ((u > 0) & (u < 1)).all():
            raise ValueError("u must lie between 0 and 1, without both ends")
        s = torch.sigmoid((u.log() - (1 - u).log() + log_alpha) / self.beta)
        return self._cut(s)

    def open_probability(
        self, log_alpha: Float[Tensor, "*gates"]
    ) -> Float[Tensor, "*gates"]:
        """P(z ≠ 0) of each gate; its sum is what the penalty counts."""
        return torch.sigmoid(log_alpha - self.beta * math.log(-self.gamma / self.zeta))

    def at_test(self, log_alpha: Float[Tensor, "*gates"]) -> Float[Tensor, "*gates"]:
        """ẑ, without chance."""
        return self._cut(torch.sigmoid(log_alpha))

    @property
    def closes_at(self) -> float:
        """The log α at and below which ẑ is 0."""
        return math.log(-self.gamma / self.zeta)

    def _cut(self, s: Tensor) -> Tensor:
        return (self.gamma + (self.zeta - self.gamma) * s).clamp(0, 1)
