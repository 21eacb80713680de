"""Triton where it is installed, and a stand-in that only lets `lib` import where not.

    from lib.kernels.compiler import no_type_check, tl, triton

A kernel is written as if Triton were always there:

    @triton.jit
    @no_type_check          # shapes inside a kernel are Triton's business
    def _kernel(x, y, N, BLOCK: tl.constexpr): ...

Read in order: `INTERPRETED`, `require_triton`, `widened`.
"""

from types import SimpleNamespace
from typing import no_type_check

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl

    MISSING = None
    # Set TRITON_INTERPRET=1 before Triton is imported, and kernels run on a CPU.
    INTERPRETED = bool(triton.knobs.runtime.interpret)
except ImportError as error:  # macOS, Windows, or no GPU extra
    MISSING, INTERPRETED = error, False
    triton = SimpleNamespace(jit=lambda kernel=None, **_: kernel or (lambda k: k))
    tl = SimpleNamespace(constexpr=lambda value=None: value)

__all__ = [
    "INTERPRETED",
    "MISSING",
    "no_type_check",
    "require_triton",
    "tl",
    "triton",
    "widened",
]


def require_triton(x: Tensor) -> None:
    """ImportError where Triton is missing; ValueError where no kernel can reach x."""
    if MISSING is not None:
        raise ImportError(
            "the kernels need Triton: pip install 'llm-compression-from-scratch[gpu]'"
        ) from MISSING
    if not x.is_cuda and not INTERPRETED:
        raise ValueError(
            f"x is on {x.device}: kernels run on a GPU, or on a CPU in Triton's "
            "interpreter (TRITON_INTERPRET=1)"
        )


def widened(dtype: torch.dtype) -> torch.dtype:
    """The dtype that a kernel sees: the interpreter's bf16 is wrong, so float32 there.

    The callers convert what goes in and what comes out, with torch's own rounding.
    """
    return torch.float32 if INTERPRETED else dtype
