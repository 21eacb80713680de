"""The exact product of int8 matrices, in int32.

    out_ij = Σ_k a_ik b_kj        |a|, |b| <= 128, so fewer than 2^17 terms fit int32

On CUDA torch's `_int_mm`, whose wishes about shapes are met by padding. On a CPU the
same name is not exact: without instructions that add four products in int32 (VNNI),
two of them are added in 16 bits first, and cut at 32,767. So there float32 multiplies
pieces of 1,024 terms, whose sums are integers up to 2^24, which no order of adding
rounds.
"""

import torch
from jaxtyping import Int8, Int32
from torch import Tensor
from torch.nn.functional import pad

PIECE = 1024  # terms: 2^10 · 2^7 · 2^7 = 2^24, the last integer that float32 counts to


def int8_matmul(a: Int8[Tensor, "m k"], b: Int8[Tensor, "k n"]) -> Int32[Tensor, "m n"]:
    """The exact product, summed in int32; ValueError for matrices that are not int8."""
    if a.dtype != torch.int8 or b.dtype != torch.int8:
        raise ValueError(f"int8 times int8, not {a.dtype} times {b.dtype}")
    (m, k), n = a.shape, b.shape[1]
    if a.device.type == "cuda":
        # cuBLAS wants multiples of 8, more than 16 rows, and b stored by columns
        a = pad(a, (0, -k % 8, 0, max(24 - m, -m % 8))).contiguous()
        b = pad(b.T, (0, -k % 8, 0, -n % 8)).contiguous().T
        return torch._int_mm(a, b)[:m, :n]
    total = torch.zeros(m, n, dtype=torch.int32, device=a.device)
    for rows, cols in zip(a.split(PIECE, 1), b.split(PIECE), strict=True):
        total += (rows.float() @ cols.float()).int()
    return total
