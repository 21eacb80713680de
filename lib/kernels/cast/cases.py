"""The kernels of casts as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.cast.codes_triton import codes
from lib.kernels.cast.rounding_triton import (
    largest,
    microscaled,
    nearest,
    scaled,
    stochastic,
)
from lib.kernels.core.compile import compile_kernel

POINTERS = {"peak": "*i32", "seed": "i64"}
POINTERS |= dict.fromkeys(("step", "cap", "limit"), "fp32")
POINTERS |= dict.fromkeys(("element_step", "element_top"), "fp32")
POINTERS |= dict.fromkeys(("scale_step", "scale_top", "scale_low"), "fp32")


def cases() -> Iterator[Compiled]:
    """Every kernel, each a value's instructions long."""
    for dtype in ("bf16", "fp32"):
        pointers = POINTERS | {"x": f"*{dtype}", "y": f"*{dtype}"}
        flat = {"WIDE": False, "BLOCK": 4096}
        yield compile_kernel(f"cast_nearest_{dtype}", nearest, pointers, 8, **flat)
        flat, name = {"WIDE": False, "QUARTER": 1024}, f"cast_stochastic_{dtype}"
        yield compile_kernel(name, stochastic, pointers, 4, **flat, ROUNDS=7)
        blocks = {"SIZE": 32, "WIDTH": 32, "RUNS": 128}
        yield compile_kernel(f"cast_mx_{dtype}", microscaled, pointers, 8, **blocks)
        blocks = {"SIZE": 16, "WIDTH": 16, "RUNS": 256}
        yield compile_kernel(f"cast_nvfp4_{dtype}", scaled, pointers, 4, **blocks)
        for bits, name in ((8, "bytes"), (4, "pairs")):
            flat, pack = {"BITS": bits, "BLOCK": 2048}, pointers | {"y": "*u8"}
            name = f"cast_{name}_{dtype}"
            yield compile_kernel(name, codes, pack, 8, **flat, PARTS=4)
        flat = {"BLOCK": 16384}
        yield compile_kernel(f"cast_largest_{dtype}", largest, pointers, 8, **flat)
    wide = {"WIDE": True, "BLOCK": 4096}
    yield compile_kernel("cast_nearest_wide_fp32", nearest, pointers, 8, **wide)
