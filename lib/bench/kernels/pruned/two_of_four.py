"""The product with two of every four weights beside cuBLAS, cuSPARSELt and our int4.

Values in fp16 beside the dense product and torch's semi-structured one, which asks
cuSPARSELt; 4-bit codes beside the dense 4-bit product. Bytes: weights, places and
scales, x and y.
"""

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from lib.bench.kernels.int4 import cublas, random_int4
from lib.bench.kernels.rows import Calls, Row, best_tiles, measured, tuning_cases
from lib.bench.timing import copies_past_cache
from lib.kernels.core.tiles import Tile, inside, power_above
from lib.kernels.int4 import int4_product
from lib.kernels.two_of_four import Packed, compress_two_of_four, two_of_four_product
from lib.kernels.two_of_four.product import (
    COLS_PER_CHUNK,
    SKINNY,
    launch,
    pack,
    packed_reference,
    product_tile,
)
from lib.kernels.wanda import prune_n_of_m

TOKENS = (1, 16, 64)
TOLERANCE = 1e-3


def random_values(n: int, k: int, *, device: str) -> list[Packed]:
    """Enough different matrices to miss the cache."""

    def one() -> Packed:
        w = torch.randn(n, k, device=device).half()
        return pack(compress_two_of_four(w))

    first = one()
    return [first, *(one() for _ in range(copies_past_cache(first.nbytes) - 1))]


def random_codes(n: int, k: int, *, device: str) -> list[Packed]:
    """The same in 4 bits: random codes, scales, and two of every four places."""
    pairs = torch.tensor([3, 5, 6, 9, 10, 12], device=device)

    def one() -> Packed:
        chunks, kind = -(-k // COLS_PER_CHUNK), {"device": device}
        codes = torch.randint(-(2**15), 2**15, (chunks, 2, n, 16), **kind)
        picks = pairs[torch.randint(6, (chunks, n, 16, 4), **kind)]
        places = (picks << 4 * torch.arange(4, **kind)).sum(-1)
        scales = torch.rand(chunks, n, 4, **kind) / 64 + 2**-8
        words = (t.to(torch.int16) for t in (codes, places))
        return Packed(*words, scales.half().view(torch.int32), k)

    first = one()
    return [first, *(one() for _ in range(copies_past_cache(first.nbytes) - 1))]


def cusparselt(x: Tensor, n: int) -> Calls:
    """torch's semi-structured product; raises RuntimeError where there is none."""
    k = x.shape[1]
    calls = []
    for _ in range(copies_past_cache(n * k * 9 // 8)):
        w = prune_n_of_m(torch.randn(n, k, device=x.device, dtype=x.dtype))
        sparse = torch.sparse.to_sparse_semi_structured(w)
        calls.append(lambda w=sparse: torch.nn.functional.linear(x, w))
    return calls


def own_int4(x: Tensor, n: int) -> Calls:
    """The dense product of 4-bit codes in groups of 128."""
    weights = random_int4(n, x.shape[1], symmetric=True, device=str(x.device))
    return [lambda w=w: int4_product(x, w) for w in weights]


KINDS = {
    "2:4 fp16": (random_values, {"cublas": cublas, "cusparselt": cusparselt}),
    "2:4 codes": (random_codes, {"cublas": cublas, "int4": own_int4}),
}


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every size, every number of tokens, both kinds, in fp16."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for (n, k), (case, (make, known)) in product(sizes, KINDS.items()):
        weights = make(n, k, device=device)
        for m in tokens:
            x = torch.randn(m, k, device=device).half()
            row = Row(case, m, n, k, weights[0].nbytes + x.nbytes + 2 * m * n)
            row.tile = str(product_tile(x, weights[0])) if device == "cuda" else ""
            exact = packed_reference(x.double(), weights[0], dtype=torch.float64)
            calls = [lambda w=w, x=x: two_of_four_product(x, w) for w in weights]
            baselines = {
                name: partial(baseline, x, n) for name, baseline in known.items()
            }
            yield measured(row, calls, exact, TOLERANCE, baselines)


def candidates(m: int, k: int) -> list[Tile]:
    """Tiles worth trying for m tokens and k columns."""
    few = ((16, 8, 2), (32, 4, 2), (32, 4, 3), (32, 4, 4), (32, 8, 2), (64, 4, 2))
    few += ((16, 8, 3), (64, 4, 3))
    batch = max(2, power_above(m))
    if batch <= SKINNY:
        return [  # of one token, too, whole vectors of a tile of 16 may load faster
            inside(rows, tokens, warps, stages)
            for tokens in sorted({batch, SKINNY})
            for rows, warps, stages in few
        ]
    many = ((64, 64, 4), (128, 64, 8), (64, 32, 4))
    return [
        *(inside(rows, SKINNY, warps, stages) for rows, warps, stages in few),
        *(Tile(rows, most, s, warps, 3) for rows, most, warps in many for s in (1, 2)),
    ]


def tune(sizes: list[tuple[int, int]], tokens: list[int]) -> list[dict[str, Any]]:
    """Choose the tiles of every case, of values and of codes."""
    notes = []
    for operation, make in (
        ("two_of_four", random_values),
        ("two_of_four_codes", random_codes),
    ):
        weights = partial(make, device="cuda")
        ways = weights, packed_reference, launch, candidates, TOLERANCE
        notes += best_tiles(operation, tuning_cases(sizes, tokens, *ways))
    return notes
