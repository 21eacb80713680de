"""LLM.int8() beside bitsandbytes, torch's int8 product, and cuBLAS in fp16.

Bytes: codes and constants of W, x and y. One feature in a thousand is an outlier, as in
the paper. bitsandbytes asks the GPU for their number, which no graph can hold: it is
timed by events around a loop of calls, with what the host adds. The baseline `int_mm`
gets its codes for nothing and has no outliers: an int32 product, rescaled eagerly.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lib.bench.kernels.int4 import cublas
from lib.bench.kernels.rows import Calls, Row, best_tiles, measured, tuning_cases
from lib.bench.timing import copies_past_cache, microseconds_of_a_loop
from lib.kernels.core.tiles import Tile, inside, power_above
from lib.kernels.int8 import Int8Matrix, int8_linear, int8_reference, int8_tile
from lib.kernels.int8.product import BLOCK, SKINNY, launch
from lib.quant.outliers.int8 import THRESHOLD, quantize_rows, rescale

TOKENS = (1, 16, 64, 4096)
RARE = 1000  # features to an outlier
TOLERANCE = 1e-3


def random_int8(n: int, k: int, *, device: str) -> list[Int8Matrix]:
    """Enough different random matrices to miss the cache."""

    def one() -> Int8Matrix:
        codes = torch.randint(-127, 128, (n, k), dtype=torch.int8, device=device)
        return Int8Matrix(codes, torch.rand(n, device=device) / 8 + 2**-6)

    first = one()
    return [first, *(one() for _ in range(copies_past_cache(first.nbytes) - 1))]


def with_outliers(m: int, k: int, *, device: str) -> Tensor:
    """Normal activations, and one feature in a thousand at 20."""
    x = torch.randn(m, k, device=device)
    x[:, torch.randperm(k, device=device)[: k // RARE]] = 20
    return x.half()


def bitsandbytes(x: Tensor, weights: list[Int8Matrix]) -> float:
    """Microseconds of `bitsandbytes.matmul` at the same threshold, in a loop."""
    import bitsandbytes as bnb

    def state(w: Int8Matrix) -> bnb.MatmulLtState:
        state = bnb.MatmulLtState()
        state.CB, state.SCB = w.codes, w.absmax
        state.has_fp16_weights = state.is_training = False
        return state

    def product(state: bnb.MatmulLtState) -> Tensor:
        with torch.no_grad():
            return bnb.matmul(x, state.CB, state=state, threshold=THRESHOLD)

    calls = [partial(product, state(w)) for w in weights]
    return microseconds_of_a_loop(calls)


def int_mm(x: Tensor, weights: list[Int8Matrix]) -> Calls:
    """`torch._int_mm` on codes that are there already, its sums rescaled eagerly."""
    codes, absmax = quantize_rows(x)

    def product(w: Int8Matrix) -> Tensor:
        return rescale(torch._int_mm(codes, w.codes.T), absmax, w.absmax).half()

    return [partial(product, w) for w in weights]


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every size and number of tokens, in fp16."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for n, k in sizes:
        weights = random_int8(n, k, device=device)
        for m in tokens:
            x = with_outliers(m, k, device=device)
            row = Row("fp16", m, n, k, weights[0].nbytes + x.nbytes + 2 * m * n)
            if device == "cuda":
                row.tile = str(int8_tile(x, weights[0]))
            exact = int8_reference(x.double(), weights[0], dtype=torch.float64)
            calls = [lambda w=w, x=x: int8_linear(x, w) for w in weights]
            baselines: dict[str, Any] = {
                "bitsandbytes_loop": partial(bitsandbytes, x, weights),
                "int_mm": partial(int_mm, x, weights),
                "cublas": partial(cublas, x, n),
            }
            yield measured(row, calls, exact, TOLERANCE, baselines)


def candidates(m: int, k: int) -> list[Tile]:
    """Tiles worth trying for m tokens and k columns."""
    if m <= SKINNY:
        return [
            inside(rows, power_above(m), warps, stages)
            for rows in (16, 32)
            for warps, stages in ((2, 4), (4, 2), (4, 3), (4, 4), (8, 2), (8, 3))
            if warps * BLOCK <= max(k, 2 * BLOCK)
        ]
    return [
        Tile(rows, batch, warps=warps, stages=stages)
        for rows, batch, warps in (
            *((64, 64, 4), (64, 128, 4), (128, 64, 4), (128, 128, 8)),
            *((128, 256, 8), (256, 128, 8)),
        )
        for stages in (3, 4)
    ]


def tune(sizes: list[tuple[int, int]], tokens: list[int]) -> list[dict[str, Any]]:
    """Choose the tiles of every case; its tokens are without outliers."""
    weights = partial(random_int8, device="cuda")
    ways = weights, int8_reference, launch, candidates, TOLERANCE
    return best_tiles("int8", tuning_cases(sizes, tokens, *ways))
