"""A matrix of sums: codes, the codebooks, and a scale a row.

    ŵ_i,g = s_i Σ_m C_m[b_igm]       groups g of d columns, M books of 2^B entries of d

    bits a weight = M B / d + 16 M 2^B d / (rows cols) + 16 / cols

The second part is the price of the codebooks, which small layers feel: two books of 256
entries of 8 numbers are 65,536 bits, 0.59 a weight of a layer of 192 x 576.

Read in order: `sum_of_entries`, `Additive`.
Source: Egiazarian et al. 2024, "AQLM", arXiv:2401.06118, section 3.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor


def sum_of_entries(
    codes: Integer[Tensor, "rows groups books"],
    books: Float[Tensor, "books entries d"],
) -> Float[Tensor, "rows groups d"]:
    """Σ_m C_m[b_m] of every group; differentiable with respect to the books."""
    entries = books.shape[1]
    first = entries * torch.arange(len(books), device=codes.device)
    flat = (codes.long() + first).flatten(0, 1)  # (rows · groups, books)
    total = torch.nn.functional.embedding_bag(flat, books.flatten(0, 1), mode="sum")
    return total.view(*codes.shape[:2], -1)


@dataclass(frozen=True, eq=False)
class Additive:
    """Codes of B bits, fp16 codebooks, an fp16 scale a row."""

    codes: Integer[Tensor, "rows groups books"]
    books: Float[Tensor, "books entries d"]
    scale: Float[Tensor, " rows"]

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """ŵ in float32."""
        total = sum_of_entries(self.codes, self.books.float()).flatten(1)
        return self.scale.float()[:, None] * total

    @property
    def code_bits(self) -> int:
        """B, the bits of a code."""
        return (self.books.shape[1] - 1).bit_length()

    @property
    def bits_per_weight(self) -> float:
        """Codes, codebooks and scales, over the weights."""
        rows, groups, _ = self.codes.shape
        stored = self.codes.numel() * self.code_bits
        constants = 16 * (self.books.numel() + rows)
        return (stored + constants) / (rows * groups * self.books.shape[2])
