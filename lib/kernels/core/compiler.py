"""Triton where it is installed, and a stand-in that only lets `lib` import where not.

    from lib.kernels.core.compiler import no_type_check, tl, triton

A kernel is written as if Triton were always there:

    @triton.jit
    @no_type_check          # shapes inside a kernel are Triton's business
    def _kernel(x, y, N, BLOCK: tl.constexpr): ...

Read in order: `INTERPRETED`, `require_triton`, `widened`; `chained`, `pdl_options`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import SimpleNamespace
from typing import no_type_check

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
    from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

    MISSING = None
    # Set TRITON_INTERPRET=1 before Triton is imported, and kernels run on a CPU.
    INTERPRETED = bool(triton.knobs.runtime.interpret)
except ImportError as error:  # macOS, Windows, or no GPU extra
    MISSING, INTERPRETED = error, False
    triton = SimpleNamespace(jit=lambda kernel=None, **_: kernel or (lambda k: k))
    tl = SimpleNamespace(constexpr=lambda value=None: value)
    gdc_launch_dependents = gdc_wait = None

__all__ = [
    "INTERPRETED",
    "MISSING",
    "chained",
    "gdc_launch_dependents",
    "gdc_wait",
    "no_type_check",
    "pdl_options",
    "require_triton",
    "runs_on",
    "tl",
    "triton",
    "widened",
]


def runs_on(device: torch.device) -> bool:
    """Whether a layer should take kernels there: on a GPU, if Triton is installed."""
    return device.type == "cuda" and MISSING is None


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


_CHAINED = ContextVar("chained", default=False)


@contextmanager
def chained() -> Iterator[None]:
    """Inside, a kernel's programs may start while the kernel before it still runs.

    For a row of our own kernels, each of which lets the next one start early (from
    Hopper on). Beside ordinary kernels, which let nobody start, a chained launch has
    nothing to overlap with and costs more than a plain one: so plain is the default.
    `python -m lib.bench company` measures both.
    """
    before = _CHAINED.set(True)
    try:
        yield
    finally:
        _CHAINED.reset(before)


def pdl_options(
    x: Tensor, *, follows: bool = False, followed: bool = False
) -> dict[str, bool]:
    """Launch options of a kernel that calls `pdl_wait` (blocks.py).

    Programmatic dependent launch, for a GPU that has it, inside of `chained`; and
    anywhere between the kernels of one call: `follows` says that one of them stands
    before this one, `followed` that one comes after it.
    """
    able = x.is_cuda and _capability(x.device) >= (9, 0)
    early = able and (_CHAINED.get() or follows)  # it may start early
    options = {"PDL": early or (able and followed)}  # what it says inside
    return options | {"launch_pdl": True} if early else options


@cache
def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)
