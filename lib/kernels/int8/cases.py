"""The kernels as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.int8.product_triton import encode, mark, skinny, wide

POINTERS = {"codes": "*i8", "w": "*i8", "x_absmax": "*fp32", "w_absmax": "*fp32"}
POINTERS |= {"found": "*i32", "threshold": "fp32"}
IN_FP16, IN_BF16, IN_FP32 = (
    POINTERS | dict.fromkeys(("x", "y", "bias", "flags"), dtype)
    for dtype in ("*fp16", "*bf16", "*fp32")
)


def cases() -> Iterator[Compiled]:
    """Tokens coded, few multiplied, many multiplied."""
    block = {"SHARED": True, "TOKENS": 64, "COLS": 128, "PDL": True}
    yield compile_kernel("int8_mark_fp16", mark, IN_FP16, 4, **block)
    for few in (0, 1):
        name, block = f"int8_encode_{few}_fp16", {"FEW": few, "BLOCK": 4096}
        yield compile_kernel(name, encode, IN_FP16, 16, **block, PDL=True)
    block = {"BIAS": True, "SEAMLESS": True, "BLOCK": 128, "COLUMNS": 16}
    block |= {"PDL": True}
    for pointers, rows, batch, splits in (
        (IN_FP16, 16, 1, 8),
        (IN_BF16, 16, 16, 8),
        (IN_FP16, 32, 64, 4),
    ):
        tile = {"SPLITS": splits, "ROWS": rows, "BATCH": batch, "STAGES": 4}
        name = f"int8_skinny_{batch}_{pointers['x'][1:]}"
        yield compile_kernel(name, skinny, pointers, splits, **block, **tile)
    for pointers, rows, batch, warps, stages in (
        (IN_BF16, 64, 64, 4, 4),
        (IN_FP16, 128, 256, 8, 3),
    ):
        tile = {"GROUP": 8, "ROWS": rows, "BATCH": batch, "STAGES": stages}
        name = f"int8_wide_{batch}_{pointers['x'][1:]}"
        yield compile_kernel(name, wide, pointers, warps, **block, **tile)
    tile = {"GROUP": 8, "ROWS": 128, "BATCH": 128, "STAGES": 4}  # the widest it takes
    yield compile_kernel("int8_of_float32_128", wide, IN_FP32, 8, **block, **tile)
