"""Products with the norm, gate and addition around them, in one kernel each.

Read in order: `product`, `matrices`; `ends_triton`, `product_triton`; `texts`.
"""

from lib.kernels.ends.matrices import Dense, Matrix, joined
from lib.kernels.ends.product import (
    Stream,
    added_product,
    best_product,
    gated_product,
    launch,
    normed_product,
)
from lib.kernels.ends.texts import chosen, embedded

__all__ = [
    "Dense",
    "Matrix",
    "Stream",
    "added_product",
    "best_product",
    "chosen",
    "embedded",
    "gated_product",
    "joined",
    "launch",
    "normed_product",
]
