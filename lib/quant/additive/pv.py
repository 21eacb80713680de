"""PV-Tuning: move the codebooks and the codes by turns, and never raise the loss.

    minimize φ(x),   x_g = Σ_m C_m[b_gm] for each group g of d weights
    P   the codes stay:    C ← C − η ∂φ/∂C
    V   the values stay:   x⁺ = argmin ⟨∇φ(x), y − x⟩ + (L/2) ‖y − x‖²
                              = the sum of entries nearest to x_g − ∇_g φ / L,  g in S

A code is a jump from value to value, so gradient steps of size 1/L are mostly too short
to change any: rounding brings every group back to where it was. Where only the groups S
of largest gradient may move, φ needs no more than the smoothness of those coordinates,
L_S ≤ L; the steps are longer, and codes change. That is PV-Tuning's idea, beside which
the straight-through estimator moves codes with no bound at all.

Guarantee, a test: φ never rises. P halves η, and V doubles L, until it does not; and
L ≥ L_S always suffices, for x itself is among the y:
φ(x⁺) ≤ φ(x) + ⟨∇φ, x⁺ − x⟩ + (L_S/2) ‖x⁺ − x‖² ≤ φ(x).

Read in order: `Coded`, `p_step`, `v_step`, `pv_tune`.
Source: Malinovskii et al. 2024, "PV-Tuning", arXiv:2405.14852, algorithms 1 and 2 and
theorem 3.1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.quant.additive.beam import nearest_sums
from lib.quant.additive.matrix import sum_of_entries

TRIES = 30  # halvings of a step before it is given up
Loss = Callable[[Tensor], Tensor]  # (groups, d) -> a number


@dataclass(frozen=True, eq=False)
class Coded:
    """Groups of weights as codes, and the codebooks; one book of d = 1 is any grid."""

    codes: Int[Tensor, "groups books"]
    books: Float[Tensor, "books entries d"]

    def values(self) -> Float[Tensor, "groups d"]:
        """x, the sum of each group's entries."""
        return sum_of_entries(self.codes[:, None], self.books)[:, 0]


def p_step(loss: Loss, x: Coded, rate: float) -> tuple[Coded, float]:
    """A gradient step of the books, halved until the loss falls; and its rate.

    Without such a step x is returned as it was, and a rate of 0.
    """
    books = x.books.detach().requires_grad_()
    now = loss(replace(x, books=books).values())
    (slope,) = torch.autograd.grad(now, books)
    for _ in range(TRIES):
        moved = replace(x, books=x.books - rate * slope)
        if loss(moved.values()) <= now:
            return moved, rate
        rate /= 2
    return x, 0.0


def v_step(
    loss: Loss, x: Coded, smoothness: float, *, share: float = 1.0, width: int = 8
) -> tuple[Coded, float]:
    """New codes for the `share` of groups of largest gradient; and the L that it took.

    L starts at `smoothness` and doubles until the loss does not rise. Without such
    codes x is returned as it was, and L = inf. ValueError for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share} is not in (0, 1]")
    values = x.values().detach().requires_grad_()
    now = loss(values)
    (slope,) = torch.autograd.grad(now, values)
    count = max(1, round(share * len(values)))
    chosen = slope.square().sum(1).topk(count).indices
    for _ in range(TRIES):
        target = (values.detach() - slope / smoothness)[chosen]
        codes = x.codes.clone()
        codes[chosen] = nearest_sums(target, x.books, codes[chosen], width=width)
        moved = replace(x, codes=codes)
        if loss(moved.values()) <= now:
            return moved, smoothness
        smoothness *= 2
    return x, float("inf")


def pv_tune(
    loss: Loss,
    x: Coded,
    *,
    smoothness: float,
    rounds: int = 10,
    share: float = 0.1,
    width: int = 8,
) -> tuple[Coded, list[float]]:
    """P and V by turns; the tuned codes and books, and the loss after each half.

    P begins at the rate 1 / `smoothness`, and each half goes on from twice the step
    that it took last. ValueError as `v_step`.
    """
    rate, bound = 1 / smoothness, smoothness
    trace = [loss(x.values()).item()]
    for _ in range(rounds):
        x, taken = p_step(loss, x, rate)
        rate = 2 * taken or 1 / smoothness
        trace.append(loss(x.values()).item())
        x, taken = v_step(loss, x, bound, share=share, width=width)
        bound = taken / 2 if taken < float("inf") else smoothness
        trace.append(loss(x.values()).item())
    return x, trace
