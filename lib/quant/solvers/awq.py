"""AWQ: a channel with large inputs gets finer levels, by scaling it up before rounding.

    W x = (W diag(s)) (x / s)          s_j = (mean|x_j|)^α, normalized; α by search
    minimize over α:   tr(Δ H Δᵀ),   Δ = W − Q(W diag(s)) diag(1/s)

Rounding moves a weight by up to half a level of its group, whatever its size; so
scaling column j up by s_j > 1 divides the error on x_j by s_j, as long as the group's
largest weight, and with it the distance of its levels, stays. α = 0 is round-to-nearest
and is among the exponents tried, so that the search never costs error on the
calibration text. The division x / s costs nothing: it is folded into the layer before,
and the model computes what it did (lib/models/rescale.py, where the method `AWQ` is
too).

Taught in notebooks/06.
Source: Lin et al. 2023, arXiv:2306.00978, section 3.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lib.quant.uniform.grid import checked_matrix, dequantize, quantize
from lib.quant.uniform.grouped import GridSettings, fit_groups


def awq_scales(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    magnitude: Float[Tensor, " cols"],
    settings: GridSettings,
    *,
    exponents: int = 20,
) -> tuple[Float[Tensor, " cols"], float]:
    """The scales s with the least output error, and their exponent α in [0, 1).

    `magnitude` is mean |x|; s = magnitude^α, divided by √(max s · min s), so that no
    group is blown up as a whole. A channel that never fires counts as the faintest.
    Ranges are not clipped yet. Works in float32 (float64 for float64 weights).
    ValueError where no channel ever fires, and for weights that are not finite.
    """
    w = checked_matrix(w)
    if not (magnitude > 0).any():
        raise ValueError(f"all {len(magnitude)} input channels are dead")
    least = magnitude[magnitude > 0].amin()
    h, base = hessian.to(w.dtype), magnitude.clamp(min=least).to(w.dtype)
    best, best_alpha, lowest = torch.ones_like(base), 0.0, torch.inf
    for k in range(exponents):
        alpha = k / exponents
        s = base**alpha
        s = s / (s.amax() * s.amin()).sqrt()
        grid = fit_groups(
            w * s,
            bits=settings.bits,
            group=settings.group,
            symmetric=settings.symmetric,
        )
        delta = w - dequantize(quantize(w * s, grid), grid) / s
        error = ((delta @ h) * delta).sum().item()
        if error < lowest:
            best, best_alpha, lowest = s, alpha, error
    return best, best_alpha
