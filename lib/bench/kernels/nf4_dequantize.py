"""NF4 with double quantization back to 16 bits, beside bitsandbytes and eager torch."""

from collections.abc import Iterator
from typing import Any

import torch

from lib.bench.kernels.rows import Calls, Row, measured
from lib.bench.timing import copies_past_cache
from lib.kernels.nf4 import nf4_dequantize
from lib.quant.codebooks.double import NESTED_BLOCK, DoubleScales
from lib.quant.codebooks.normal_float import FourBit, dequantize_4bit

TOKENS = (1,)  # there are none
BLOCK = 64


def random_packed(n: int, k: int, dtype: torch.dtype, device: str) -> list[FourBit]:
    """Enough different random tensors to miss the cache."""
    blocks = n * k // BLOCK

    def some(count: int) -> torch.Tensor:
        return torch.randint(256, (count,), device=device).to(torch.uint8)

    def one() -> FourBit:
        constants = DoubleScales(
            some(blocks),
            torch.rand(-(-blocks // NESTED_BLOCK), device=device),
            torch.tensor(2.5, device=device),
        )
        shape = torch.Size((n, k))
        return FourBit(some(n * k // 2), constants, "nf4", BLOCK, shape, dtype)

    first = one()
    return [first, *(one() for _ in range(copies_past_cache(first.nbytes) - 1))]


def bitsandbytes(n: int, k: int, dtype: torch.dtype) -> Calls:
    """`dequantize_4bit` on what bitsandbytes quantized itself."""
    import bitsandbytes as bnb

    calls = []
    for _ in range(copies_past_cache(n * k // 2)):
        packed, state = bnb.functional.quantize_4bit(
            torch.randn(n, k, device="cuda", dtype=dtype),
            blocksize=BLOCK,
            compress_statistics=True,
            quant_type="nf4",
        )
        calls.append(lambda p=packed, s=state: bnb.functional.dequantize_4bit(p, s))
    return calls


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every size, in fp16 and bf16."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for n, k in sizes:
        for dtype in (torch.float16, torch.bfloat16):
            packed = random_packed(n, k, dtype, device)
            nbytes = packed[0].nbytes + 2 * n * k
            row = Row(str(dtype).removeprefix("torch."), 0, n, k, nbytes)
            exact = dequantize_4bit(packed[0]).double()
            calls = [lambda q=q: nf4_dequantize(q) for q in packed]
            baselines: dict[str, Any] = {
                "eager": lambda q=packed[0]: [lambda: dequantize_4bit(q)]
            }
            if device == "cuda":
                baselines["bitsandbytes"] = lambda n=n, k=k, d=dtype: bitsandbytes(
                    n, k, d
                )
            yield measured(row, calls, exact, 0.0, baselines)  # bit for bit
