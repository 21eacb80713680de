"""Two of every four weights kept: how they are stored, and back.

Read in order: `storage`, `storage_triton`.
"""

from lib.kernels.two_of_four.storage import (
    TwoOfFour,
    compress_two_of_four,
    decompress_two_of_four,
)

__all__ = ["TwoOfFour", "compress_two_of_four", "decompress_two_of_four"]
