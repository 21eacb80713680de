"""The kernel as it is compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.trellis.viterbi_triton import search

POINTERS = {
    "w": "*fp32",
    "values": "*fp32",
    "overlap": "*i64",
    "pointers": "*u8",
    "path": "*i64",
}


def cases() -> Iterator[Compiled]:
    """A ring of 2 bits a weight, by 256 and by 4,096 states."""
    for bits, warps in ((8, 4), (12, 8)):
        block = {"RING": True, "KEPT": 2 ** (bits - 2), "BRANCHES": 4}
        yield compile_kernel(f"viterbi_{bits}", search, POINTERS, warps, **block)
