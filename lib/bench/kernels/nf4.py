"""NF4 with double quantization: the product, beside bitsandbytes' and cuBLAS's.

bitsandbytes multiplies by its kernel at one token, and from two on dequantizes the
matrix and calls cuBLAS; both through its public `matmul_4bit`.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lib.bench.kernels.int4 import TOLERANCE, cublas
from lib.bench.kernels.rows import (
    Calls,
    Row,
    best_tiles,
    measured,
    tuning_cases,
)
from lib.bench.timing import copies_past_cache
from lib.kernels.core.planes import Planes, pack_constants
from lib.kernels.core.tiles import Tile, inside, power_above
from lib.kernels.nf4 import Nf4, nf4_product, nf4_reference, nf4_tile
from lib.kernels.nf4.product import launch
from lib.quant.codebooks.double import NESTED_BLOCK

TOKENS = (1, 2, 4, 8, 16)
BLOCK = 64


def random_nf4(n: int, k: int, *, device: str) -> list[Nf4]:
    """Enough different random matrices to miss the cache."""
    planes = Planes(k, BLOCK)
    nested = -(-planes.groups * n // NESTED_BLOCK)

    def one() -> Nf4:
        shape = (planes.chunks, n, planes.length)
        codes = torch.randint(-(2**15), 2**15, shape, dtype=torch.int16, device=device)
        shape = (planes.groups, n)
        scales = torch.randint(256, shape, dtype=torch.uint8, device=device)
        return Nf4(
            codes,
            pack_constants(scales, planes),
            torch.rand(nested, device=device),
            torch.tensor(2.5, device=device),
            planes,
            NESTED_BLOCK,
        )

    first = one()
    return [first, *(one() for _ in range(copies_past_cache(first.nbytes) - 1))]


def bitsandbytes(x: Tensor, n: int) -> Calls:
    """`matmul_4bit` on matrices that bitsandbytes quantized itself."""
    import bitsandbytes as bnb

    k = x.shape[1]
    calls = []
    for _ in range(copies_past_cache(n * k // 2)):
        weight = torch.randn(n, k, device=x.device, dtype=x.dtype)
        packed, state = bnb.functional.quantize_4bit(
            weight, blocksize=BLOCK, compress_statistics=True, quant_type="nf4"
        )
        calls.append(lambda p=packed, s=state: bnb.matmul_4bit(x, p.t(), quant_state=s))
    return calls


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every size and number of tokens, in fp16; one in bf16."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for n, k in sizes:
        weights = random_nf4(n, k, device=device)
        for m in tokens:
            for dtype in (torch.float16, torch.bfloat16)[: 2 if m == 1 else 1]:
                x = torch.randn(m, k, device=device).to(dtype)
                nbytes = weights[0].nbytes + x.nbytes + m * n * x.element_size()
                row = Row(str(dtype).removeprefix("torch."), m, n, k, nbytes)
                if device == "cuda":
                    row.tile = str(nf4_tile(x, weights[0]))
                exact = nf4_reference(x.double(), weights[0], dtype=torch.float64)
                calls = [lambda w=w, x=x: nf4_product(x, w) for w in weights]
                baselines: dict[str, Any] = {"cublas": lambda x=x, n=n: cublas(x, n)}
                if device == "cuda":
                    baselines["bitsandbytes"] = lambda x=x, n=n: bitsandbytes(x, n)
                yield measured(row, calls, exact, TOLERANCE[dtype], baselines)


def candidates(m: int, k: int) -> list[Tile]:
    """Tiles worth trying for m tokens and k columns."""
    batch = min(16, power_above(m))
    tiles = [
        inside(rows, batch, warps, stages)
        for rows in (16, 32, 64)
        for warps, stages in (
            *((2, 3), (2, 4), (2, 5), (4, 2), (4, 3), (4, 4), (4, 5), (4, 6)),
            *((8, 2), (8, 3), (8, 4), (16, 2), (16, 3)),
        )
    ]
    return [tile for tile in tiles if tile.splits <= Planes(k, BLOCK).chunks]


def tune(sizes: list[tuple[int, int]], tokens: list[int]) -> list[dict[str, Any]]:
    """Choose the tiles of every case in fp16."""
    weights = partial(random_nf4, device="cuda")
    ways = weights, nf4_reference, launch, candidates, TOLERANCE[torch.float16]
    return best_tiles("nf4", tuning_cases(sizes, tokens, *ways))
