"""LLM.int8() in three launches. Read `product`, then `product_triton`."""

from lib.kernels.int8.product import (
    Int8Matrix,
    int8_linear,
    int8_reference,
    int8_tile,
    pack_int8,
)

__all__ = ["Int8Matrix", "int8_linear", "int8_reference", "int8_tile", "pack_int8"]
