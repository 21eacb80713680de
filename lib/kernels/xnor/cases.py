"""The kernels as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.xnor.product import COUNTS, tile_of
from lib.kernels.xnor.product_triton import product


def cases() -> Iterator[Compiled]:
    """One row of A, and many."""
    pointers = {"a": "*i64", "b": "*i64", "y": "*i32"}
    for m in (1, 16):
        tile = tile_of(m)
        block = {"BATCH": tile.batch, "ROWS": tile.rows}
        block["WORDS"] = COUNTS // (tile.batch * tile.rows)
        yield compile_kernel(f"xnor_{m}", product, pointers, tile.warps, **block)
