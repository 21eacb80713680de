"""The kernels as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.two_of_four.product_triton import skinny, wide
from lib.kernels.two_of_four.storage_triton import compress, decompress

POINTERS = {"w": "*fp16", "values": "*fp16", "indices": "*u8"}
SKINNY = ((32, 1, 4, 3), (32, 16, 4, 2))  # rows, batch, splits, stages


def cases() -> Iterator[Compiled]:
    """Two of four compressed, and back; their products, of values and of codes."""
    tile = {"ROWS": 2, "COLS": 1024}
    for name, kernel in (("compress", compress), ("decompress", decompress)):
        yield compile_kernel(f"two_of_four_{name}_fp16", kernel, POINTERS, 4, **tile)
    for dtype, bits in (("fp16", 16), ("fp16", 4), ("bf16", 4)):
        weights = f"*{dtype}" if bits == 16 else "*i16"
        pointers = {"x": f"*{dtype}", "y": f"*{dtype}", "weights": weights}
        pointers |= {"places": "*i16", "scales": "*i32"}
        name = f"{dtype}_{bits}_bits"
        for rows, batch, splits, stages in SKINNY:
            tile = {"SPLITS": splits, "ROWS": rows, "BATCH": batch, "STAGES": stages}
            block = {"BITS": bits, "PDL": True} | tile
            case = f"two_of_four_skinny_{batch}_{name}"
            yield compile_kernel(case, skinny, pointers, splits, **block)
        block = {"BITS": bits, "PDL": True, "ROWS": 64, "BATCH": 64, "STAGES": 3}
        yield compile_kernel(f"two_of_four_wide_64_{name}", wide, pointers, 4, **block)
