"""NF4: y = x Ŵᵀ (`product`), and Ŵ back in 16 or 32 bits (`dequantize`).

Read in order: `product`, `product_triton`, `assembly`; `dequantize` with its kernel.
"""

from lib.kernels.nf4.dequantize import nf4_dequantize
from lib.kernels.nf4.product import (
    Nf4,
    nf4_product,
    nf4_reference,
    nf4_tile,
    pack_nf4,
)

__all__ = [
    "Nf4",
    "nf4_dequantize",
    "nf4_product",
    "nf4_reference",
    "nf4_tile",
    "pack_nf4",
]
