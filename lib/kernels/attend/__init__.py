"""One token's attention over a paged cache: `attention`, then `attention_triton`."""

from lib.kernels.attend.attention import Blocks, attend_reference, attended, launch

__all__ = ["Blocks", "attend_reference", "attended", "launch"]
