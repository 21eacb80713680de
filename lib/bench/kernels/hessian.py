"""H ← keep H + gain XᵀX beside torch's `addmm`, for K features and many tokens.

The floor is arithmetic: T K² of multiplying and adding, half of what `addmm` does, at
the speed of fp16, in the rows of float32 X too. `addmm` gets X in float32, and
multiplies it in float32; `addmm_fp16` multiplies fp16 into H in float32.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lib.bench.kernels.rows import Calls, Case, Row, best_tiles, measured
from lib.bench.timing import copies_past_cache
from lib.kernels.core.tiles import Tile
from lib.kernels.hessian import add_gram
from lib.kernels.hessian.gram import SIZE, hessian_tile, launch

TOKENS = (2048, 16384)
KEEP, GAIN = 0.5, 2.0**-10
TOLERANCE = 1e-4


def on_each(
    xs: list[Tensor], update: Callable[[Tensor, Tensor], Tensor | None]
) -> Calls:
    """`update(h, x)` for each x and an H of its own, zero at first."""
    k = xs[0].shape[1]

    def call(h: Tensor, x: Tensor) -> Tensor:
        update(h, x)
        return h

    return [partial(call, x.new_zeros(k, k, dtype=torch.float32), x) for x in xs]


def addmm(h: Tensor, x: Tensor) -> None:
    """In the dtype of H."""
    h.addmm_(x.T, x, beta=KEEP, alpha=GAIN)


def addmm_fp16(h: Tensor, x: Tensor) -> None:
    """Of X in fp16, where torch has such a product."""
    torch.addmm(h, x.T, x, beta=KEEP, alpha=GAIN, out_dtype=torch.float32, out=h)


def inputs(tokens: int, k: int, dtype: torch.dtype, device: str) -> list[Tensor]:
    """Enough different X to miss the cache."""
    count = copies_past_cache(tokens * k * dtype.itemsize)
    return [torch.randn(tokens, k, device=device).to(dtype) for _ in range(count)]


def exact_of(x: Tensor) -> Tensor:
    """What the first call leaves in H, in float64."""
    return GAIN * x.double().T @ x.double()


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every number of features and of tokens, in fp16 and float32."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert not torch.backends.cuda.matmul.allow_tf32, "addmm is float32's"
    for _, k in sizes:
        for m in tokens:
            for name, dtype in (("fp16", torch.float16), ("fp32", torch.float32)):
                xs = inputs(m, k, dtype, device)
                row = Row(name, m, k, k, xs[0].nbytes + 6 * k * k, flops=m * k * k)
                if device == "cuda":
                    row.tile = str(hessian_tile(xs[0]))
                calls = on_each(xs, partial(add_gram, keep=KEEP, gain=GAIN))
                wide = [x.float() for x in xs]
                baselines: dict[str, Any] = {"addmm": partial(on_each, wide, addmm)}
                if dtype == torch.float16:
                    baselines["addmm_fp16"] = partial(on_each, xs, addmm_fp16)
                yield measured(row, calls, exact_of(xs[0]), TOLERANCE, baselines)


def tune(sizes: list[tuple[int, int]], tokens: list[int]) -> list[dict[str, Any]]:
    """Choose the tiles of every case in fp16."""

    def cases() -> Iterator[Case]:
        for _, k in sizes:
            for m in tokens:
                xs = inputs(m, k, torch.float16, "cuda")

                def calls(tile: Tile, xs: list[Tensor] = xs) -> Calls:
                    how = {"tile": tile, "keep": KEEP, "gain": GAIN}
                    return on_each(xs, partial(launch, **how))

                yield Case(xs[0], k, exact_of(xs[0]), TOLERANCE, calls, candidates(m))

    return best_tiles("hessian", cases())


def candidates(tokens: int) -> list[Tile]:
    """Tiles worth trying."""
    return [
        Tile(SIZE, turn, splits, warps=8, stages=stages)
        for turn, stages in ((64, 3), (64, 4), (32, 4), (32, 6))
        for splits in (1, 2, 3, 4, 5, 8, 16)
        if splits == 1 or splits * 256 <= tokens
    ]
