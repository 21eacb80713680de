"""Two of every four weights kept: how they are stored, and back; their products.

Read in order: `storage`, `storage_triton`; `product`, `spread_triton`,
`product_triton`.
"""

from lib.kernels.two_of_four.product import (
    Packed,
    pack,
    pack_codes,
    two_of_four_product,
)
from lib.kernels.two_of_four.storage import (
    TwoOfFour,
    compress_two_of_four,
    decompress_two_of_four,
)

__all__ = [
    "Packed",
    "TwoOfFour",
    "compress_two_of_four",
    "decompress_two_of_four",
    "pack",
    "pack_codes",
    "two_of_four_product",
]
