"""A packed matrix back in 16 or 32 bits. Read `dense`, then `dense_triton`."""

from lib.kernels.unfold.dense import unfolded

__all__ = ["unfolded"]
