"""SmoothQuant's factors: meet halfway between the ranges of activations and weights.

    X Wᵀ = (X diag(s)⁻¹) (W diag(s))ᵀ        s_j = max|X_j|^α / max_i|W_ij|^(1-α)

At α = 1/2 the range of channel j becomes √(max|X_j| max|W_j|) on both sides. How the
factors get into a model, at no cost, is lib/models/rescale.py.

Taught in notebooks/04.
Source: Xiao et al. 2023, arXiv:2211.10438, section 4.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def smoothing_factors(
    x_max: Float[Tensor, " channels"],
    w_max: Float[Tensor, " channels"],
    *,
    alpha: float = 0.5,
) -> Float[Tensor, " channels"]:
    """s_j = max|X_j|^α / max|W_j|^(1-α): divide X by it, multiply W's columns.

    Channels that are dead on either side get 1. ValueError for α outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha} is not in [0, 1]")
    if x_max.shape != w_max.shape:
        raise ValueError(
            f"{len(x_max)} channels of X against {len(w_max)} columns of W"
        )
    alive = (x_max > 0) & (w_max > 0)
    return torch.where(alive, x_max**alpha / w_max ** (1 - alpha), 1.0)
