"""What a method of pruning is: which weights stay, and how what is left is stored.

    ŵ = keep ∘ w,     keep = the best by a score: `Magnitude`, `Wanda`, `SparseGPT`

A `Pruner` is a `lib.quant.method.Method`. So the walk that quantizes a model prunes it
too: in sequence, resumable, and restored where a layer is refused.

    quantize_model(model, Wanda(0.5), windows)      quantize_model(model, Wanda((2, 4)))

Read in order: masks.py, `Pruner`; storage.py and n_of_m.py.
"""

from dataclasses import dataclass
from math import isfinite

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lib.prune.masks import Pattern, check_n_of_m, check_pattern
from lib.prune.n_of_m import NOfM
from lib.prune.refit import refit
from lib.prune.storage import Bitmap
from lib.quant.hessian import Hessian
from lib.quant.method import Method
from lib.quant.uniform.grid import checked_matrix

STORED = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Pruner(Method):
    """Settings that pruning methods share: a `pattern`, 0.5 or (2, 4) say.

    With `refit` what stays of a row is fitted anew to the layer's inputs, by least
    squares (refit.py), with `damping` times mean(diag H) added to H. Values are stored
    in `dtype`. ValueError for patterns, dampings and dtypes that cannot be.
    """

    pattern: Pattern = 0.5
    refit: bool = False
    damping: float = 0.01
    dtype: str = "float16"

    def __post_init__(self) -> None:
        check_pattern(self.pattern)
        if not (isfinite(self.damping) and self.damping >= 0):
            raise ValueError(f"damping={self.damping} must be finite and at least 0")
        if self.dtype not in STORED:
            raise ValueError(f"dtype={self.dtype!r} is not one of {STORED}")

    def check(self, rows: int, cols: int) -> None:
        """ValueError for n:m whose m does not divide the columns."""
        if isinstance(self.pattern, tuple):
            check_n_of_m(*self.pattern, cols)

    def kept(
        self, w: Float[Tensor, "rows cols"], inputs: Hessian | None
    ) -> Bool[Tensor, "rows cols"]:
        """What stays of `w`."""
        raise NotImplementedError

    def pruned(
        self, w: Float[Tensor, "rows cols"], inputs: Hessian | None
    ) -> Float[Tensor, "rows cols"]:
        """ŵ before it is stored; ValueError as `checked_matrix` and `refit`."""
        w = checked_matrix(w)
        kept = self.kept(w, inputs)
        if self.refit:
            return refit(w, kept, inputs.matrix, damping=self.damping)
        return torch.where(kept, w, 0)

    def quantize(self, w: Tensor, inputs: Hessian | None) -> Bitmap | NOfM:
        """ŵ as a bitmap, or in the form of n:m; ValueError where `dtype` overflows."""
        pruned = self.pruned(w, inputs)
        values = pruned.to(getattr(torch, self.dtype))
        if not values.isfinite().all():
            raise ValueError(f"w reaches {pruned.abs().amax():.3g} in {self.dtype}")
        if isinstance(self.pattern, tuple):
            return NOfM.compress(values, *self.pattern)
        return Bitmap.compress(values)
