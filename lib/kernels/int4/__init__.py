"""y = x Ŵᵀ for 4-bit codes on uniform grids. Read `product`, then `product_triton`."""

from lib.kernels.int4.product import (
    Int4,
    int4_product,
    int4_reference,
    int4_tile,
    launch,
    pack_int4,
)

__all__ = [
    "Int4",
    "int4_product",
    "int4_reference",
    "int4_tile",
    "launch",
    "pack_int4",
]
