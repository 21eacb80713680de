"""The kernels as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.unfold.dense_triton import int4, nf4


def cases() -> Iterator[Compiled]:
    """Back from planes of 64, to rows in 16 bits."""
    block = {"G": 64, "P": 1, "L": 64, "Q": 4, "ROWS": 16}
    pointers = {"w": "*fp16", "constants": "*i32"}
    yield compile_kernel("unfold_int4_fp16", int4, pointers, 4, **block, BITS=16)
    block |= {"BITS": 8, "NESTED": 256}
    yield compile_kernel("unfold_nf4_fp16", nf4, pointers, 4, **block)
