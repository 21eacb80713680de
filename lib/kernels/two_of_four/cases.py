"""The kernels as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.two_of_four.storage_triton import compress, decompress

POINTERS = {"w": "*fp16", "values": "*fp16", "indices": "*u8"}


def cases() -> Iterator[Compiled]:
    """Two of four compressed, and back."""
    tile = {"ROWS": 2, "COLS": 1024}
    for name, kernel in (("compress", compress), ("decompress", decompress)):
        yield compile_kernel(f"two_of_four_{name}_fp16", kernel, POINTERS, 4, **tile)
