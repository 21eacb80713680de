"""Y = A Bᵀ of matrices of ±1, a bit a sign: the integers of the dense product, exactly.

    a · b = K - 2 popcount(a XOR b)

Bytes: (M + N) K / 8 of signs, and 4 M N of results: for one row of A a sixteenth of
fp16's, where bytes are what takes the time. With many rows counting is: M N K / 64
words, of which a multiprocessor counts 8 a clock.

Read in order: the kernel in product_triton.py, `tile_of`, `launch`. Its reference and
its entry are in lib/quant/aware/xnor.py, whose words it reads; on a GPU
`xnor_product` comes here.
Source: Courbariaux et al. 2016, arXiv:1602.02830, section 3.
"""

import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from lib.kernels.core.compiler import MISSING, require_triton, triton
from lib.kernels.core.tiles import Tile
from lib.kernels.xnor import product_triton
from lib.quant.aware.xnor import product_of_signs

COUNTS = 2048  # of a program in a turn: 16 in each of 128 threads


def tile_of(m: int) -> Tile:
    """Rows of B and of A for `m` rows of A; what is left of `COUNTS` are words."""
    batch = min(triton.next_power_of_2(max(m, 1)), 8) if MISSING is None else 8
    return Tile(rows=16 if m == 1 else 32, batch=batch)


def launch(
    a: Int64[Tensor, "m words"],
    b: Int64[Tensor, "n words"],
    cols: int,
    tile: Tile | None = None,
) -> Int32[Tensor, "m n"]:
    """The product by the kernel, of operands that `xnor_product` checked.

    ImportError without Triton; ValueError where no kernel reaches a.
    """
    require_triton(a)
    (m, n), tile = (len(a), len(b)), tile or tile_of(len(a))
    y = a.new_empty(m, n, dtype=torch.int32)
    if y.numel():
        block = {"BATCH": tile.batch, "ROWS": tile.rows}
        block["WORDS"] = COUNTS // (tile.batch * tile.rows)
        sizes = (m, n, a.shape[1], cols)
        product_triton.product[tile.grid(n, m)](
            a.contiguous(), b.contiguous(), y, *sizes, **block, num_warps=tile.warps
        )
    return y


@product_of_signs.register_kernel("cuda")
def _on_cuda(a: Tensor, b: Tensor, cols: int) -> Tensor:
    return launch(a, b, cols)
