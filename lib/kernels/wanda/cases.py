"""The kernels of masks as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.wanda.rows_triton import REGISTERS, held_row, streamed_row
from lib.kernels.wanda.runs_triton import n_of_m


def cases() -> Iterator[Compiled]:
    """N of M neighbours, rows in registers, and a row that is read again."""
    for n, log, dtype, out in (
        (2, 2, "fp16", "fp16"),
        (2, 2, "bf16", "u8"),
        (4, 3, "fp16", "fp16"),
        (8, 4, "bf16", "bf16"),
    ):
        pointers = {"w": f"*{dtype}", "out": f"*{out}"}
        name = f"wanda_{n}_of_{2**log}_{dtype}" + ("_mask" if out == "u8" else "")
        tile = {"N": n, "LOG": log, "ROWS": 2, "COLS": 1024}
        yield compile_kernel(name, n_of_m, pointers, 4, **tile)
    rows = {"tail": "fp32"}
    for dtype, block in (("fp16", 8192), ("bf16", 32768), ("fp32", 16384)):
        pointers = rows | {"w": f"*{dtype}", "out": f"*{dtype}"}
        name, warps = f"wanda_row_{block}_{dtype}", 8 if block == 8192 else 32
        row = {"BLOCK": block, "PDL": True}
        yield compile_kernel(name, held_row, pointers, warps, REGISTERS, **row)
    pointers, row = rows | {"w": "*fp16", "out": "*fp16"}, {"BLOCK": 4096}
    name = "wanda_long_row_fp16"
    yield compile_kernel(name, streamed_row, pointers, 4, REGISTERS, **row, PDL=True)
