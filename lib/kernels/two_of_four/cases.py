"""The kernels as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.two_of_four.product_triton import skinny, wide
from lib.kernels.two_of_four.storage_triton import compress, decompress

POINTERS = {"w": "*fp16", "values": "*fp16", "indices": "*u8"}
PRODUCTS = (  # dtype, bits of a weight; rows, batch, splits, stages
    ("fp16", 16, 32, 1, 4, 3),
    ("fp16", 16, 32, 16, 4, 2),
    ("fp16", 4, 32, 1, 4, 3),
    ("bf16", 4, 32, 16, 4, 2),
)


def cases() -> Iterator[Compiled]:
    """Two of four compressed, and back; their products, of values and of codes."""
    tile = {"ROWS": 2, "COLS": 1024}
    for name, kernel in (("compress", compress), ("decompress", decompress)):
        yield compile_kernel(f"two_of_four_{name}_fp16", kernel, POINTERS, 4, **tile)
    for dtype, bits, rows, batch, splits, stages in PRODUCTS:
        tile = {"SPLITS": splits, "ROWS": rows, "BATCH": batch, "STAGES": stages}
        name = f"two_of_four_skinny_{batch}_{dtype}_{bits}_bits"
        yield product(name, skinny, dtype, bits, splits, **tile)
    tile = {"ROWS": 64, "BATCH": 64, "STAGES": 3}
    name = "two_of_four_wide_64_fp16_16_bits"
    yield product(name, wide, "fp16", 16, 4, **tile)


def product(
    name: str, kernel, dtype: str, bits: int, warps: int, **tile: int
) -> Compiled:
    """A product of x in `dtype` with values, or with codes of 4 bits."""
    weights = f"*{dtype}" if bits == 16 else "*i16"
    pointers = {"x": f"*{dtype}", "y": f"*{dtype}", "weights": weights}
    pointers |= {"places": "*i16", "scales": "*i32"}
    block = {"BITS": bits, "PDL": True} | tile
    return compile_kernel(name, kernel, pointers, warps, **block)
