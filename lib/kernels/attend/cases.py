"""The attention as it is compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.attend.attention_triton import Cached, Parts, attend
from lib.kernels.core.compile import compile_kernel

SHAPES = (  # dtype, queries a key, channels, splits, tokens of a turn, warps
    ("llama_7b", "fp16", 1, 128, 4, 128, 8),
    ("smollm2", "fp16", 3, 64, 1, 256, 8),
    ("many_texts", "fp16", 1, 128, 1, 64, 4),
    ("float32_256", "fp32", 8, 256, 4, 64, 8),  # the most shared memory of the rule
)


def cases() -> Iterator[Compiled]:
    """A head of its own, and three queries a key head; in splits, and without."""
    parts = Parts("*fp32", "*fp32", "*fp32", "*i32")
    for name, dtype, rep, d, splits, turn, warps in SHAPES:
        pointers = {"qkv": f"*{dtype}", "out": f"*{dtype}", "scale": "fp32"}
        whole = (f"*{dtype}", f"*{dtype}", "*i32", "*i32", "*fp32", "*fp32")
        pointers |= {"cached": Cached(*whole), "parts": parts}
        shape = {"REP": rep, "D": d, "BLOCK": 16, "SPLITS": splits}
        tile = {"ROWS": 16, "TILE": turn, "STAGES": 2, "PDL": True}
        yield compile_kernel(f"attend_{name}", attend, pointers, warps, **shape, **tile)
