"""The product's kernels as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.blocks import sum_splits
from lib.kernels.core.compile import compile_kernel
from lib.kernels.core.planes import planes_of
from lib.kernels.int4.product_triton import skinny, wide

SKINNY = ((32, 1, 4, 5), (32, 16, 4, 3), (16, 16, 8, 2))  # rows, batch, splits, stages


def cases() -> Iterator[Compiled]:
    """Groups of 128: fp16 symmetric, and bf16 with zero points; the sum of splits."""
    sums = {"parts": "*fp32", "y": "*fp16", "SPLITS": 4, "BLOCK": 256, "PDL": True}
    pointers = {name: sums.pop(name) for name in ("parts", "y")}
    yield compile_kernel("sum_splits_4_fp16", sum_splits, pointers, 2, **sums)
    for dtype, kind in (("fp16", "symmetric"), ("bf16", "zeros")):
        layout = {"LAYOUT": planes_of(8192, 128).layout}
        layout |= {"ZERO_POINT": kind == "zeros", "SEAMLESS": True, "PDL": True}
        pointers = {"x": f"*{dtype}", "y": f"*{dtype}", "constants": "*i32"}
        for rows, batch, splits, stages in SKINNY:
            tile = {"SPLITS": splits, "ROWS": rows, "BATCH": batch, "STAGES": stages}
            warps = "" if splits == 4 else f"_{splits}_warps"
            name = f"int4_skinny_{batch}{warps}_{dtype}_{kind}"
            yield compile_kernel(name, skinny, pointers, splits, **layout, **tile)
        tile = {"ROWS": 64, "BATCH": 64, "STAGES": 3}
        name = f"int4_wide_64_{dtype}_{kind}"
        yield compile_kernel(name, wide, pointers, 4, **layout, **tile)
