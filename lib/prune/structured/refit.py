"""After columns are gone, the best matrix on those that are left, by least squares.

    minimize ‖W X − Ŵ X_K‖²,   H = X Xᵀ        Ŵ = W H_:K (H_KK + λ I)⁻¹

The inputs that were removed were not independent of those that stay, so part of what
they did can be done by others. One system of |K| equations serves all rows, for all
rows lost the same columns.

Read in order: `refit_columns`.
Source: least squares; for structured pruning of language models: Ling et al. 2024,
"SlimGPT", arXiv:2412.18110, and, for single weights, lib/prune's other refit.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def refit_columns(
    w: Float[Tensor, "rows cols"],
    kept: Int[Tensor, " kept"],
    hessian: Float[Tensor, "features features"],
    *,
    damping: float = 1e-4,
) -> Float[Tensor, "rows kept"]:
    """Ŵ on the kept columns, in w's dtype; λ is `damping` · mean(diag H_KK).

    `hessian` is H up to a factor. ValueError for an H of another size, and where H_KK
    is singular even with its damping.
    """
    if hessian.shape != (w.shape[1],) * 2:
        raise ValueError(f"w has {w.shape[1]} columns, H is {tuple(hessian.shape)}")
    h = hessian.to(w)[:, kept]
    own = h[kept]
    own.diagonal().add_(damping * own.diagonal().mean())
    factor, failed = torch.linalg.cholesky_ex(own)
    if failed:
        raise ValueError(f"H of {len(kept)} columns is singular: damping={damping}")
    return torch.cholesky_solve((w @ h).T, factor).T.contiguous()
