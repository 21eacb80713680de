"""Int8 matrix products: one scale a token, one an output, and outliers left alone.

    X_I8 = round(X · 127/C_X)     W_I8 = round(W · 127/C_W)     C = max|·| of a row
    Out_I32 = X_I8 W_I8ᵀ          X Wᵀ ≈ Out_I32 · (C_X ⊗ C_W) / 127²

One large feature stretches C_X of every token, and the token's other features fall onto
few levels. LLM.int8() therefore splits the inner dimension: features that reach the
threshold keep 16 bits, the rest is multiplied in int8, and the two products are added.

    X Wᵀ ≈ X_O W_Oᵀ  +  Out_I32 · (C_X ⊗ C_W) / 127²,     O = {j : some |X_ij| >= 6}

Guarantees: each x moves by at most C_X/254; each product, summed over K features, by at
most K C_X C_W / 127; the int32 sums are exact.
Read in order: `quantize_rows`, `int8_product`, `llm_int8`; the layer is in lib/layers.
Taught in notebooks/04.
Source: Dettmers et al. 2022, arXiv:2208.07339, sections 2 and 3.
"""

import math

import torch
from jaxtyping import Float, Int, Int8, Int32
from torch import Tensor

THRESHOLD = 6.0
TINY = 1e-36  # the least C: 127 / C must stay finite
EXACT_TERMS = 2**24 // 127**2  # products of int8 that a float32 sum holds exactly: 1040


def quantize_rows(
    x: Float[Tensor, "rows features"], *, vectorwise: bool = True
) -> tuple[Int8[Tensor, "rows features"], Float[Tensor, " rows"]]:
    """Codes -127 … 127, and C = max|x| of each row, in float32.

    `vectorwise=False` gives all rows the C of the whole tensor (plain absmax).
    ValueError for no elements, NaN or infinity.
    """
    if not x.numel() or not x.is_floating_point():
        raise ValueError(f"x of shape {tuple(x.shape)} and {x.dtype} has no int8 codes")
    if not (finite := x.isfinite()).all():
        raise ValueError(f"x holds {(~finite).sum().item()} NaN or infinite values")
    absmax = x.abs().amax(1).float().clamp(min=TINY)  # (rows,)
    if not vectorwise:
        absmax = absmax.max().expand(len(x))
    codes = (x * (127.0 / absmax)[:, None]).round()
    return codes.to(torch.int8), absmax


def int8_product(
    x: Int8[Tensor, "tokens features"], w: Int8[Tensor, "outputs features"]
) -> Int32[Tensor, "tokens outputs"]:
    """X_I8 W_I8ᵀ in int32, by float32 products of at most 1040 terms, which are exact.

    127² · 1040 < 2²⁴: every partial sum is an integer that float32 holds. So the fast
    routine that every processor has serves, and only the pieces are added as integers.
    """
    out = torch.zeros(len(x), len(w), dtype=torch.int32, device=x.device)
    for xs, ws in zip(x.split(EXACT_TERMS, 1), w.split(EXACT_TERMS, 1), strict=True):
        out += (xs.float() @ ws.float().T).int()
    return out


def rescale(
    out: Int32[Tensor, "tokens outputs"],
    x_absmax: Float[Tensor, " tokens"],
    w_absmax: Float[Tensor, " outputs"],
) -> Float[Tensor, "tokens outputs"]:
    """Out_I32 · (C_X ⊗ C_W) / 127², in float32."""
    return out * torch.outer(x_absmax, w_absmax / 127**2)


def outlier_features(
    x: Float[Tensor, "tokens features"], *, threshold: float = THRESHOLD
) -> Int[Tensor, " outliers"]:
    """The columns in which some |x| reaches the threshold, ascending."""
    return (x.abs() >= threshold).any(0).nonzero().flatten()


def llm_int8(
    x: Float[Tensor, "tokens features"],
    w: Float[Tensor, "outputs features"],
    *,
    threshold: float = THRESHOLD,
) -> Float[Tensor, "tokens outputs"]:
    """X Wᵀ with the outlier features in the dtype of x, and all others in int8.

    `threshold=math.inf` multiplies everything in int8. The result has the dtype of x.
    ValueError for a threshold that is not positive, and for widths that differ.
    """
    check_product(x, w, threshold)
    outliers = outlier_features(x, threshold=threshold)
    x_codes, x_absmax = quantize_rows(x.index_fill(1, outliers, 0))
    w_codes, w_absmax = quantize_rows(w.index_fill(1, outliers, 0))
    regular = rescale(int8_product(x_codes, w_codes), x_absmax, w_absmax)
    return x[:, outliers] @ w[:, outliers].T.to(x) + regular.to(x.dtype)


def check_product(x: Tensor, w: Tensor, threshold: float) -> None:
    """ValueError for a threshold that is not positive, and for widths that differ."""
    if not threshold > 0 or math.isnan(threshold):
        raise ValueError(f"threshold={threshold} is not positive")
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(
            f"x {tuple(x.shape)} and w {tuple(w.shape)} do not share their features"
        )
