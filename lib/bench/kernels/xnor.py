"""The product of ±1 on packed words, beside the same numbers in int8 and in fp16.

Bytes: a bit a sign of A and B, and four bytes a result. The baselines get their ±1 for
nothing, as dense codes of a byte and of two: int8 by torch's own product, which wants
more than 16 rows (fewer are filled up to 32), fp16 by cuBLAS. `popcount` is the sums of
neighbours in plain torch, where M N K / 64 words are written out.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lib.bench.kernels.int4 import cublas
from lib.bench.kernels.rows import Calls, Row, measured
from lib.bench.timing import copies_past_cache
from lib.quant.aware.xnor import pack_signs, popcount, unpack_signs, xnor_product

TOKENS = (1, 16, 128, 1024)
LEAST = 32  # rows that `torch._int_mm` is given
WRITTEN_OUT = 2**28  # words that plain torch may write


def random_signs(rows: int, cols: int, device: str) -> Tensor:
    """Packed words of random signs."""
    return pack_signs(torch.randn(rows, cols)).to(device)


def int8(m: int, n: int, k: int) -> Calls:
    """`torch._int_mm` on ±1 in bytes."""
    a = torch.ones(max(m, LEAST), k, dtype=torch.int8, device="cuda")
    count = copies_past_cache(n * k)
    weights = [torch.ones(n, k, dtype=torch.int8, device="cuda") for _ in range(count)]
    return [lambda w=w: torch._int_mm(a, w.T) for w in weights]


def plain(a: Tensor, b: Tensor, k: int) -> Calls:
    """`popcount` of every pair of words; ValueError where they would fill memory."""
    if len(a) * b.numel() > WRITTEN_OUT:
        raise ValueError(f"{len(a) * b.numel()} words of 64 would be written out")
    return [lambda: k - 2 * popcount(a[:, None] ^ b).sum(-1, dtype=torch.int32)]


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every size (rows of B, terms) and number of rows of A."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for n, k in sizes:
        copies = copies_past_cache(n * k // 8)
        weights = [random_signs(n, k, device) for _ in range(copies)]
        for m in tokens:
            a = random_signs(m, k, device)
            row = Row("signs", m, n, k, (m + n) * k // 8 + 4 * m * n)
            dense = (
                unpack_signs(words.cpu(), k).to(device) for words in (a, weights[0])
            )
            exact = torch.matmul(next(dense), next(dense).T).double()
            calls = [partial(xnor_product, a, w, k) for w in weights]
            baselines: dict[str, Any] = {
                "int8": partial(int8, m, n, k),
                "cublas": partial(cublas, torch.ones(m, k, device=device).half(), n),
                "popcount": partial(plain, a, weights[0], k),
            }
            yield measured(row, calls, exact, 0.0, baselines)
