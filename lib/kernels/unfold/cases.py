"""The kernels as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.core.planes import planes_of
from lib.kernels.nf4.scales_triton import ScaleKind, Scales
from lib.kernels.unfold.dense_triton import int4, nf4


def cases() -> Iterator[Compiled]:
    """Back from planes of 64, to rows in 16 bits."""
    block = {"LAYOUT": planes_of(8192, 64).layout, "ROWS": 16}
    pointers, flags = {"w": "*fp16", "constants": "*i32"}, {"ZERO_POINT": False}
    yield compile_kernel("unfold_int4_fp16", int4, pointers, 4, **block, **flags)
    pointers = {"w": "*fp16", "scales": Scales("*i32", "*fp32", "*fp32", "*fp32")}
    flags = {"KIND": ScaleKind(8, 256, False), "SHUFFLE": True}
    yield compile_kernel("unfold_nf4_fp16", nf4, pointers, 4, **block, **flags)
