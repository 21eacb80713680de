"""The 4-bit product beside cuBLAS in fp16, tinygemm, Marlin and gemlite.

Bytes: codes and constants of Ŵ, x and y.
"""

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import torch

from lib.bench.kernels.baselines import BASELINES, GROUP, WITH_ZEROS
from lib.bench.kernels.rows import Row, best_tiles, measured, tuning_cases
from lib.bench.timing import copies_past_cache
from lib.kernels.core.planes import Planes, pack_constants
from lib.kernels.core.tiles import Tile, inside, power_above
from lib.kernels.int4 import (
    Int4,
    int4_product,
    int4_reference,
    int4_tile,
    launch,
)
from lib.kernels.int4.product import SKINNY

TOKENS = (1, 2, 4, 8, 16, 64, 128, 1024)
TOLERANCE = {torch.float16: 1e-3, torch.bfloat16: 8e-3, torch.float32: 1e-5}


def random_int4(n: int, k: int, *, symmetric: bool, device: str) -> list[Int4]:
    """Enough different random matrices to miss the cache."""
    planes = Planes(k, GROUP)

    def one() -> Int4:
        shape = (planes.chunks, n, planes.length)
        codes = torch.randint(-(2**15), 2**15, shape, dtype=torch.int16, device=device)
        step = torch.rand(planes.groups, n, device=device).half() / 64 + 2**-8
        if symmetric:
            return Int4(codes, pack_constants(step, planes), planes)
        zero = torch.randint_like(step, 16).to(torch.int32) << 16
        both = zero | step.view(torch.int16).to(torch.int32)
        return Int4(codes, pack_constants(both, planes), planes)

    first = one()
    return [first, *(one() for _ in range(copies_past_cache(first.nbytes) - 1))]


KINDS = {  # what x is, whether the weights are symmetric, and who does the same
    "fp16 symmetric": (torch.float16, True, BASELINES),
    "bf16 zero points": (torch.bfloat16, False, WITH_ZEROS),
}


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every size, every number of tokens, both kinds."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for (n, k), (case, (dtype, symmetric, known)) in product(sizes, KINDS.items()):
        weights = random_int4(n, k, symmetric=symmetric, device=device)
        for m in tokens:
            x = torch.randn(m, k, device=device).to(dtype)
            nbytes = weights[0].nbytes + x.nbytes + m * n * x.element_size()
            row = Row(case, m, n, k, nbytes)
            if device == "cuda":
                row.tile = str(int4_tile(x, weights[0]))
            exact = int4_reference(x.double(), weights[0], dtype=torch.float64)
            calls = [lambda w=w, x=x: int4_product(x, w) for w in weights]
            baselines = {
                name: partial(baseline, x, n) for name, baseline in known.items()
            }
            yield measured(row, calls, exact, TOLERANCE[dtype], baselines)


def candidates(m: int, k: int) -> list[Tile]:
    """Tiles worth trying for m tokens and k columns."""
    batch = max(2, power_above(m))
    chunks = Planes(k, GROUP).chunks
    if batch <= SKINNY:
        tiles = [
            inside(rows, batch, warps, stages)
            for rows in (16, 32)
            for warps, stages in (
                (2, 3),
                (2, 5),
                (4, 3),
                (4, 4),
                (4, 5),
                (8, 2),
                (8, 3),
            )
        ]
        tiles += [Tile(64, batch, splits, 4, 4) for splits in (1, 2, 4) if batch >= 8]
    else:
        tiles = [
            Tile(rows, min(batch, most), splits, warps, stages)
            for rows, most, warps, stages in (
                *((64, 64, 4, 3), (64, 64, 4, 4), (128, 64, 8, 3)),
                *((64, 128, 8, 3), (128, 128, 8, 2), (128, 128, 8, 3)),
            )
            for splits in (1, 2, 4)
        ]
    return list(dict.fromkeys(tile for tile in tiles if tile.splits <= chunks))


def tune(sizes: list[tuple[int, int]], tokens: list[int]) -> list[dict[str, Any]]:
    """Choose the tiles of every case, with zero points and without, in fp16."""
    notes = []
    for operation, symmetric in (("int4", True), ("int4_zeros", False)):
        weights = partial(random_int4, symmetric=symmetric, device="cuda")
        ways = weights, int4_reference, launch, candidates, TOLERANCE[torch.float16]
        notes += best_tiles(operation, tuning_cases(sizes, tokens, *ways))
    return notes
