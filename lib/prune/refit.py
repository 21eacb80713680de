"""Refit: the best values for the weights that stay, by least squares.

    minimize  ‖(w − ŵ) X‖²  over ŵ that is 0 where nothing is kept;     K = the kept:
    ŵ_K = (H_KK)⁻¹ H_K: w          each row on its own, for each row keeps others

Guarantee: no other values on this mask err less, not SparseGPT's either, which finds
its own in one pass over the columns for all rows at once. A refit costs a system of
|K| equations a row.

Read in order: `refit`.  Taught in notebooks/11.
Source: Hassibi & Stork 1992 (the surgeon, for many weights at once); for language
models, Meng et al. 2024, arXiv:2402.17946.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def damped_hessian(
    hessian: Float[Tensor, "cols cols"], damping: float
) -> Float[Tensor, "cols cols"]:
    """H + λ I with λ = damping · mean(diag H), and 1 where a feature is dead.

    It is what `lib.quant.hessian.inverse_factor` inverts: GPTQ's mean is of the live.
    """
    damped, diagonal = hessian.clone(), hessian.diagonal()
    dead = diagonal == 0
    mean = diagonal[~dead].mean() if (~dead).any() else diagonal.new_tensor(0.0)
    damped.diagonal().add_(torch.where(dead, 1.0, damping * mean))
    return damped


def refit(
    w: Float[Tensor, "rows cols"],
    kept: Bool[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    *,
    damping: float = 0.01,
) -> Float[Tensor, "rows cols"]:
    """The least-squares ŵ on the mask, in w's dtype, for inputs with moment `hessian`.

    ValueError for an H or a mask of another size, and where H is singular on what is
    kept even with its damping.
    """
    if hessian.shape != (w.shape[1],) * 2 or kept.shape != w.shape:
        raise ValueError(
            f"w is {tuple(w.shape)}, its mask {tuple(kept.shape)}, "
            f"H {tuple(hessian.shape)}"
        )
    h = damped_hessian(hessian, damping).to(w.dtype)
    target = w @ h  # (rows, cols): H w of each row
    fitted = torch.zeros_like(w)
    for i, mask in enumerate(kept):
        k = mask.nonzero().flatten()
        factor, failed = torch.linalg.cholesky_ex(h[k][:, k])
        if failed:
            raise ValueError(
                f"row {i}: H of its {len(k)} kept columns is not positive definite "
                f"with damping={damping}: raise it"
            )
        fitted[i, k] = torch.cholesky_solve(target[i, k, None], factor)[:, 0]
    return fitted
