"""After columns are gone, the best matrix on those that are left, by least squares.

    minimize ‖W X − Ŵ X_K‖² + λ ‖Ŵ − P‖²,   H = X Xᵀ
                                            Ŵ = (W H_:K + λ P) (H_KK + λ I)⁻¹

The inputs that were removed were not independent of those that stay, so part of what
they did can be done by others. One system of |K| equations serves all rows, for all
rows lost the same columns.

P is what a weight is where the text says nothing: 0, or W_K, as it was before the cut.
With P = W_K a refit errs no more than the cut on the text of H, whatever λ, for the cut
is one of the Ŵ that compete; and as λ grows it becomes the cut. With few tokens for
each unknown that is what generalizes (hw_structured measures it).

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
    toward: str = "zero",
) -> Float[Tensor, "rows kept"]:
    """Ŵ on the kept columns, in w's dtype; λ is `damping` · mean(diag H_KK).

    `hessian` is H up to a factor; `toward` is P. ValueError for an H of another size, a
    `toward` that is neither, and where H_KK is singular even with its damping.
    """
    if hessian.shape != (w.shape[1],) * 2:
        raise ValueError(f"w has {w.shape[1]} columns, H is {tuple(hessian.shape)}")
    if toward not in ("zero", "weights"):
        raise ValueError(f"toward={toward!r} is neither 'zero' nor 'weights'")
    h = hessian.to(w)[:, kept]
    own, target = h[kept], w @ h
    strength = damping * own.diagonal().mean()
    own.diagonal().add_(strength)
    if toward == "weights":
        target = target + strength * w[:, kept]
    factor, failed = torch.linalg.cholesky_ex(own)
    if failed:
        raise ValueError(f"H of {len(kept)} columns is singular: damping={damping}")
    return torch.cholesky_solve(target.T, factor).T.contiguous()
