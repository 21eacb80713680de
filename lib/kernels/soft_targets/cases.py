"""The kernels of rows as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.soft_targets.rows import BLOCK, WARPS
from lib.kernels.soft_targets.rows_triton import scale, soft

NUMBERS = {"kd": "fp32", "ce": "fp32", "per_t": "fp32", "beta": "fp32"}
POINTERS = NUMBERS | {"labels": "*i64", "loss": "*fp32"}


def cases() -> Iterator[Compiled]:
    """The three divergences, with and without gold labels, and the scaling."""
    for dtype, way, gold in (
        ("bf16", 0, False),
        ("bf16", 0, True),
        ("fp16", 1, True),
        ("bf16", 2, True),
        ("fp32", 0, True),
    ):
        pointers = POINTERS | {"s": f"*{dtype}", "t": f"*{dtype}"}
        name = f"soft_rows_{way}{'_gold' if gold else ''}_{dtype}"
        tile = {"WITH_CE": gold, "WAY": way, "BLOCK": BLOCK}
        yield compile_kernel(name, soft, pointers, WARPS, **tile)
    pointers = {"x": "*bf16", "factor": "*fp32"}
    yield compile_kernel("soft_rows_scale_bf16", scale, pointers, 4, BLOCK=4096)
