"""The kernels of NF4 as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.core.planes import planes_of
from lib.kernels.nf4.dequantize_triton import dequantize
from lib.kernels.nf4.product import TABLE_PAYS
from lib.kernels.nf4.product_triton import skinny
from lib.kernels.nf4.scales_triton import ScaleKind, Scales

SKINNY = (  # dtype, columns, rows, batch, splits, stages, the end of the name
    ("fp16", 8192, 32, 1, 4, 4, ""),
    ("bf16", 8192, 32, 16, 2, 3, ""),
    ("fp16", 5504, 16, 1, 8, 7, "_narrow_8_warps"),  # planes of 32 columns
    ("fp16", 2048, 16, 1, 8, 3, "_shuffled_8_warps"),
)


def cases() -> Iterator[Compiled]:
    """Products with double quantization, and a matrix dequantized."""
    for dtype, cols, rows, batch, splits, stages, suffix in SKINNY:
        planes = planes_of(cols, 64)
        kind = ScaleKind(8, 256, 256 % planes.groups == 0)
        layout = {"LAYOUT": planes.layout, "KIND": kind}
        layout["SEAMLESS"] = planes.seamless and planes.chunks % splits == 0
        layout["PAIR_TABLE"] = rows * cols >= TABLE_PAYS
        scales = Scales("*i32", "*fp32", "*fp32", "*fp32")
        pointers = {"x": f"*{dtype}", "y": f"*{dtype}", "scales": scales}
        tile = {"SPLITS": splits, "ROWS": rows, "BATCH": batch, "STAGES": stages}
        tile["PDL"] = True
        name = f"nf4_skinny_{batch}_{dtype}{suffix}"
        yield compile_kernel(name, skinny, pointers, splits, **layout, **tile)
    pointers = {"w": "*fp16", "packed": "*u8"}
    pointers["scales"] = Scales("*u8", "*fp32", "*fp32", "*fp32")
    block = {"HALF": 32, "BYTES": 32, "RUNS": 64, "NESTED": 256}
    block |= {"WHOLE": True, "SHUFFLE": True, "PDL": True}
    yield compile_kernel("nf4_dequantize_fp16", dequantize, pointers, 4, **block)
