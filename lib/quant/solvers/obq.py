"""OBQ, written plainly in float64: the specification that GPTQ is held against.

    quantize weight j:   Δ = −(w_j − ŵ_j) / [H⁻¹]_jj · H⁻¹_{j,:}      w += Δ
    its loss:            (w_j − ŵ_j)² / [H⁻¹]_jj
    forget weight j:     H⁻¹ −= H⁻¹_{:,j} H⁻¹_{j,:} / [H⁻¹]_jj        (then row j is 0)

Δ is the least change of the other weights, in the metric H, that sets w_j to ŵ_j: the
Lagrangian's answer, no approximation. Each row goes its own way, so H⁻¹ is downdated
rows·cols times: O(rows · cols³). Use it on small matrices.

Read in order: `obq`, `_round_row`.  Taught in notebooks/06.
Source: Frantar, Singh & Alistarh 2022, arXiv:2208.11580, section 4; LeCun et al. 1989.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.quant.uniform.grid import Grid, checked_matrix
from lib.quant.uniform.grouped import Grouped, fit_groups


def obq(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    *,
    bits: int,
    group: int,
    symmetric: bool = False,
    damping: float = 0.01,
    order: Literal["fixed", "greedy"] = "fixed",
) -> Grouped:
    """Quantize each row one weight at a time, in float64.

    "fixed" goes through the columns in their order and fits a group's grid when its
    first column comes up; "greedy" takes the weight that costs least next, so its grids
    are fitted to the original weights. ValueError for another order, and as in
    `fit_groups`.
    """
    if order not in ("fixed", "greedy"):
        raise ValueError(f"order={order!r} is neither 'fixed' nor 'greedy'")
    w = checked_matrix(w).double()
    mean = hessian.double().diagonal().mean()
    identity = torch.eye(w.shape[1], dtype=torch.float64)
    inverse = torch.linalg.inv(hessian.double() + damping * mean * identity)
    grid = fit_groups(w, bits=bits, group=group, symmetric=symmetric)
    rows = [
        _round_row(
            row, inverse.clone(), Grid(s[None], z[None], grid.low, grid.high), order
        )
        for row, s, z in zip(w, grid.scale, grid.zero, strict=True)
    ]
    codes, scales, zeros = (torch.stack(part) for part in zip(*rows, strict=True))
    codes = codes.to(torch.uint8 if grid.low >= 0 else torch.int8)
    return Grouped(codes, Grid(scales, zeros, grid.low, grid.high))


def _round_row(
    w: Float[Tensor, " cols"],
    inverse: Float[Tensor, "cols cols"],
    grid: Grid,
    order: str,
) -> tuple[Int[Tensor, " cols"], Float[Tensor, " groups"], Int[Tensor, " groups"]]:
    """Codes, steps and zeros of one row."""
    w, scale, zero = w.clone(), grid.scale[0].clone(), grid.zero[0].clone()
    group = len(w) // len(scale)
    codes = torch.zeros(len(w), dtype=torch.int64)
    left = list(range(len(w)))
    while left:
        if order == "fixed":
            j = left[0]
            if j % group == 0:
                fresh = fit_groups(
                    w[None, j : j + group],
                    bits=grid.bits,
                    group=group,
                    symmetric=grid.low < 0,
                )
                scale[j // group], zero[j // group] = (
                    fresh.scale[0, 0],
                    fresh.zero[0, 0],
                )
        else:
            cost = [
                _error(w[k], scale[k // group], zero[k // group], grid) for k in left
            ]
            cost = [e**2 / inverse[k, k] for e, k in zip(cost, left, strict=True)]
            j = left[int(torch.stack(cost).argmin())]
        s, z = scale[j // group], zero[j // group]
        codes[j] = (w[j] / s).round().add(z).clamp(grid.low, grid.high)
        error = w[j] - s * (codes[j] - z)
        w -= error / inverse[j, j] * inverse[j]
        inverse -= torch.outer(inverse[:, j], inverse[j]) / inverse[j, j]
        left.remove(j)
    return codes, scale, zero


def _error(w: Tensor, s: Tensor, z: Tensor, grid: Grid) -> Float[Tensor, ""]:
    """w − ŵ of one weight."""
    return w - s * ((w / s).round().add(z).clamp(grid.low, grid.high) - z)
