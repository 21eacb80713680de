"""The kernels as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.hessian.gram_triton import finish, gram

POINTERS = {"h": "*fp32", "parts": "*fp32", "keep": "fp32", "gain": "fp32"}


def cases() -> Iterator[Compiled]:
    """XᵀX into H at once, or into parts; and their sum."""
    for dtype, tokens, stages, to_parts in (
        ("fp16", 64, 4, False),
        ("bf16", 64, 3, True),
        ("fp32", 32, 3, True),
    ):
        tile = {"SIZE": 128, "TOKENS": tokens, "STAGES": stages}
        tile |= {"PRECISION": "bf16x6", "TO_PARTS": to_parts}
        name = f"hessian_{'parts_' if to_parts else ''}{dtype}"
        yield compile_kernel(name, gram, POINTERS | {"x": f"*{dtype}"}, 8, **tile)
    tile = {"SPLITS": 4, "SIZE": 128}
    yield compile_kernel("hessian_finish", finish, POINTERS, 8, **tile)
