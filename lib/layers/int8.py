"""A linear layer in int8 whose outlier features keep 16 bits.

    y = x_O W_Oᵀ  +  Out_I32 · (C_X ⊗ C_W) / 127²  +  b

The algorithm is lib/quant/outliers/int8.py; this layer holds its codes. On a GPU the
three launches of lib/kernels/int8 do the same.

Read in order: `Int8Linear`.  Taught in notebooks/04.
Source: Dettmers et al. 2022, arXiv:2208.07339, sections 2 and 3.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.kernels.core.compiler import runs_on
from lib.kernels.int8 import Int8Matrix, int8_linear
from lib.quant.outliers.int8 import (
    THRESHOLD,
    check_product,
    int8_product,
    outlier_features,
    quantize_rows,
    rescale,
)


class Int8Linear(nn.Module):
    """A linear layer that holds int8 weights, and multiplies as LLM.int8() does.

    Weights of `features` (known outliers: they are the same for every token) stay in
    float16. Other features that reach the threshold in some batch keep their precision
    as inputs, and meet the int8 weights dequantized, as in bitsandbytes.

    On a GPU kernels multiply, where no gradient is wanted (lib/kernels/int8):
    there NaN and infinity spoil their token, and are no ValueError. The layer itself
    raises one for `features` that it has not, a threshold that is not positive, and a
    weight with NaN or infinity.
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
        check_product(w, w, threshold)
        codes, absmax = quantize_rows(
            w.index_fill(1, features, 0), vectorwise=vectorwise
        )
        self.register_buffer("codes", codes)  # (outputs, features)
        self.register_buffer("absmax", absmax.clone())  # (outputs,)
        self.register_buffer("features", features)
        self.register_buffer("kept", w[:, features].half())  # (outputs, kept)
        self.register_buffer("bias", linear.bias)
        self.threshold, self.vectorwise = threshold, vectorwise

    @property
    def nbytes(self) -> int:
        """Bytes of codes, C, kept columns and bias."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def forward(self, x: Float[Tensor, "*batch features"]) -> Float[Tensor, "..."]:
        """Multiply by the outliers as they are, and by the rest in int8."""
        rows = x.flatten(0, -2)  # (tokens, features)
        if runs_on(x.device) and self.suits(x):
            return self._by_kernels(rows).unflatten(0, x.shape[:-1])
        out = rows[:, self.features] @ self.kept.T.to(x)
        rows = rows.index_fill(1, self.features, 0)
        outliers = outlier_features(rows, threshold=self.threshold)
        if len(outliers):
            scales = (self.absmax / 127)[:, None]
            out += rows[:, outliers] @ (self.codes[:, outliers] * scales).T.to(x)
            rows = rows.index_fill(1, outliers, 0)
        codes, absmax = quantize_rows(rows, vectorwise=self.vectorwise)
        out += rescale(int8_product(codes, self.codes), absmax, self.absmax).to(x)
        out = out if self.bias is None else out + self.bias
        return out.unflatten(0, x.shape[:-1])

    def _by_kernels(self, rows: Tensor) -> Tensor:
        """Int8, outliers and bias in one product, and the kept columns, if any."""
        w = Int8Matrix(self.codes, self.absmax.float())
        bias = None if self.bias is None else self.bias.detach().to(rows)
        how = {"threshold": self.threshold, "bias": bias}
        if not len(self.features):
            return int8_linear(rows, w, **how)
        out = int8_linear(rows.index_fill(1, self.features, 0), w, **how)
        return out + rows[:, self.features] @ self.kept.T.to(rows)

    def suits(self, x: Float[Tensor, "*batch features"]) -> bool:
        """The kernels do this: a scale a row, no gradient, not float64."""
        bias = self.bias is not None and self.bias.requires_grad
        learns = torch.is_grad_enabled() and (x.requires_grad or bias)
        return self.vectorwise and not learns and x.dtype != torch.float64
