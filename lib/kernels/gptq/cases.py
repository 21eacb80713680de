"""The kernel as it is compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.gptq.columns_triton import round_block
from lib.kernels.gptq.sparse_triton import prune_block

POINTERS = dict.fromkeys(("left", "factor", "scale", "zero", "errors"), "*fp32")


def cases() -> Iterator[Compiled]:
    """A block of 128 columns, one group wide, in 4 bits; and pruned, 2:4 or masked."""
    block = {"GROUP": 128, "LEVELS": 15, "SYMMETRIC": False, "WIDTH": 128, "ROWS": 16}
    pointers = POINTERS | {"codes": "*u8"}
    yield compile_kernel("gptq_block", round_block, pointers, 4, **block)
    pointers = POINTERS | {"kept": "*u8"}
    for name, n, m in (("masked", 0, 0), ("2_of_4", 2, 4)):
        block = {"N": n, "M": m, "WIDTH": 128, "ROWS": 16}
        yield compile_kernel(f"sparse_block_{name}", prune_block, pointers, 4, **block)
