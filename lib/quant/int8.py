"""Int8 matrix products: one constant a token, one an output, and outliers left alone.

    X_I8 = round(X · 127/C_X)     W_I8 = round(W · 127/C_W)     C = max|·| of a row
    Out_I32 = X_I8 W_I8ᵀ          X Wᵀ ≈ Out_I32 · (C_X ⊗ C_W) / 127²

One large feature stretches C_X of every token, and the token's other features fall onto
few levels. LLM.int8() therefore splits the inner dimension: features that reach the
threshold keep 16 bits, the rest is multiplied in int8, and the two products are added.

    X Wᵀ ≈ X_O W_Oᵀ  +  Out_I32 · (C_X ⊗ C_W) / 127²,     O = {j : some |X_ij| >= 6}

Guarantees: each x moves by at most C_X/254; each product, summed over K features, by at
most K C_X C_W / 127; the int32 sums are exact.
Read in order: `quantize_rows`, `int8_product`, `llm_int8`, `Int8Linear`. Taught in
notebooks/04.
Source: Dettmers et al. 2022, arXiv:2208.07339, sections 2 and 3.
"""

import math
from collections.abc import Iterable
from types import ModuleType

import torch
from jaxtyping import Float, Int, Int8, Int32
from torch import Tensor, nn

from lib.quant.gpu import kernels_on

THRESHOLD = 6.0
TINY = 1e-36  # the least constant: 127 / C must stay finite
EXACT_TERMS = 2**24 // 127**2  # products of int8 that a float32 sum holds exactly: 1040


def quantize_rows(
    x: Float[Tensor, "rows features"], *, vectorwise: bool = True
) -> tuple[Int8[Tensor, "rows features"], Float[Tensor, " rows"]]:
    """Codes -127 … 127, and the constant C = max|x| of each row, in float32.

    `vectorwise=False` gives all rows the constant of the whole tensor (plain absmax).
    ValueError for no elements, NaN or infinity.
    """
    if not x.numel() or not x.is_floating_point():
        raise ValueError(f"x of shape {tuple(x.shape)} and {x.dtype} has no int8 codes")
    if not (finite := x.isfinite()).all():
        raise ValueError(f"x holds {(~finite).sum().item()} NaN or infinite values")
    constants = x.abs().amax(1).float().clamp(min=TINY)  # (rows,)
    if not vectorwise:
        constants = constants.max().expand(len(x))
    codes = (x * (127.0 / constants)[:, None]).round()
    return codes.to(torch.int8), constants


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
    x_constants: Float[Tensor, " tokens"],
    w_constants: Float[Tensor, " outputs"],
) -> Float[Tensor, "tokens outputs"]:
    """Out_I32 · (C_X ⊗ C_W) / 127², in float32."""
    return out * torch.outer(x_constants, w_constants / 127**2)


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
    _check(x, w, threshold)
    outliers = outlier_features(x, threshold=threshold)
    x_codes, x_constants = quantize_rows(x.index_fill(1, outliers, 0))
    w_codes, w_constants = quantize_rows(w.index_fill(1, outliers, 0))
    regular = rescale(int8_product(x_codes, w_codes), x_constants, w_constants)
    return x[:, outliers] @ w[:, outliers].T.to(x) + regular.to(x.dtype)


class Int8Linear(nn.Module):
    """A linear layer that holds int8 weights, and multiplies as LLM.int8() does.

    Weights of `features` (known outliers: they are the same for every token) stay in
    float16. Other features that reach the threshold in some batch keep their precision
    as inputs, and meet the int8 weights dequantized, as in bitsandbytes.

    On a GPU kernels multiply, where no gradient is wanted (lib/kernels/int8.py): there
    NaN and infinity spoil their token, and are no ValueError.
    """

    def __init__(
        self,
        linear: nn.Linear,
        *,
        threshold: float = THRESHOLD,
        features: Iterable[int] | Int[Tensor, " features"] = (),
        vectorwise: bool = True,
    ):
        super().__init__()
        w = linear.weight.detach()
        features = torch.as_tensor(features, dtype=torch.long, device=w.device)
        if features.numel() and not 0 <= features.min() <= features.max() < w.shape[1]:
            raise ValueError(
                f"features {features.min()} to {features.max()} are not among the "
                f"layer's {w.shape[1]}"
            )
        _check(w, w, threshold)
        codes, constants = quantize_rows(
            w.index_fill(1, features, 0), vectorwise=vectorwise
        )
        self.register_buffer("codes", codes)  # (outputs, features)
        self.register_buffer("constants", constants.clone())  # (outputs,)
        self.register_buffer("features", features)
        self.register_buffer("kept", w[:, features].half())  # (outputs, kept)
        self.register_buffer("bias", linear.bias)
        self.threshold, self.vectorwise = threshold, vectorwise

    @property
    def nbytes(self) -> int:
        """Bytes of codes, constants, kept columns and bias."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def forward(self, x: Float[Tensor, "*batch features"]) -> Float[Tensor, "..."]:
        """Multiply by the outliers as they are, and by the rest in int8."""
        rows = x.flatten(0, -2)  # (tokens, features)
        if (kernels := kernels_on(x.device)) and self.suits(x):
            return self._by(kernels, rows).unflatten(0, x.shape[:-1])
        out = rows[:, self.features] @ self.kept.T.to(x)
        rows = rows.index_fill(1, self.features, 0)
        outliers = outlier_features(rows, threshold=self.threshold)
        if len(outliers):
            steps = (self.constants / 127)[:, None]
            out += rows[:, outliers] @ (self.codes[:, outliers] * steps).T.to(x)
            rows = rows.index_fill(1, outliers, 0)
        codes, constants = quantize_rows(rows, vectorwise=self.vectorwise)
        out += rescale(int8_product(codes, self.codes), constants, self.constants).to(x)
        out = out if self.bias is None else out + self.bias
        return out.unflatten(0, x.shape[:-1])

    def _by(self, kernels: ModuleType, rows: Tensor) -> Tensor:
        """Int8, outliers and bias in one product, and the kept columns, if any."""
        w = kernels.Int8Matrix(self.codes, self.constants.float())
        bias = None if self.bias is None else self.bias.detach().to(rows)
        how = {"threshold": self.threshold, "bias": bias}
        if not len(self.features):
            return kernels.int8_linear(rows, w, **how)
        out = kernels.int8_linear(rows.index_fill(1, self.features, 0), w, **how)
        return out + rows[:, self.features] @ self.kept.T.to(rows)

    def suits(self, x: Float[Tensor, "*batch features"]) -> bool:
        """The kernels do this: a constant a row, no gradient, not float64."""
        bias = self.bias is not None and self.bias.requires_grad
        learns = torch.is_grad_enabled() and (x.requires_grad or bias)
        return self.vectorwise and not learns and x.dtype != torch.float64


def _check(x: Tensor, w: Tensor, threshold: float) -> None:
    if not threshold > 0 or math.isnan(threshold):
        raise ValueError(f"threshold={threshold} is not positive")
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(
            f"x {tuple(x.shape)} and w {tuple(w.shape)} do not share their features"
        )
