"""The product's kernels as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.int4.product_triton import skinny, wide

SKINNY = ((32, 1, 4, 5), (32, 16, 4, 3), (16, 16, 8, 2))  # rows, batch, splits, stages


def cases() -> Iterator[Compiled]:
    """Groups of 128: fp16 symmetric, and bf16 with zero points."""
    for dtype, kind, bits in (("fp16", "symmetric", 16), ("bf16", "zeros", 32)):
        layout = {"G": 128, "P": 2, "L": 64, "Q": 2, "BITS": bits}
        layout |= {"SEAMLESS": True, "CHAINED": True}
        pointers = {"x": f"*{dtype}", "y": f"*{dtype}", "constants": "*i32"}
        for rows, batch, splits, stages in SKINNY:
            tile = {"SPLITS": splits, "ROWS": rows, "BATCH": batch, "STAGES": stages}
            warps = "" if splits == 4 else f"_{splits}_warps"
            name = f"int4_skinny_{batch}{warps}_{dtype}_{kind}"
            yield compile_kernel(name, skinny, pointers, splits, **layout, **tile)
        tile = {"ROWS": 64, "BATCH": 64, "STAGES": 3}
        name = f"int4_wide_64_{dtype}_{kind}"
        yield compile_kernel(name, wide, pointers, 4, **layout, **tile)
