"""The exact product of int8 matrices, in int32.

    out_ij = Σ_k a_ik b_kj        |a|, |b| <= 128, so fewer than 2^17 terms fit int32

torch's `_int_mm` on a CPU and on CUDA, whose wishes about shapes are met by padding;
elsewhere int32 is multiplied.
"""

import torch
from jaxtyping import Int8, Int32
from torch import Tensor
from torch.nn.functional import pad


def int8_matmul(a: Int8[Tensor, "m k"], b: Int8[Tensor, "k n"]) -> Int32[Tensor, "m n"]:
    """The exact product, summed in int32; ValueError for matrices that are not int8."""
    if a.dtype != torch.int8 or b.dtype != torch.int8:
        raise ValueError(f"int8 times int8, not {a.dtype} times {b.dtype}")
    (m, k), n = a.shape, b.shape[1]
    if a.device.type == "cuda":
        # cuBLAS wants multiples of 8, more than 16 rows, and b stored by columns
        a = pad(a, (0, -k % 8, 0, max(24 - m, -m % 8))).contiguous()
        b = pad(b.T, (0, -k % 8, 0, -n % 8)).contiguous().T
    elif a.device.type != "cpu":
        return a.int() @ b.int()
    return torch._int_mm(a, b)[:m, :n]
