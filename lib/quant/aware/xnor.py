"""The product of matrices of ±1, on packed words: 64 terms an instruction or two.

    a · b = #(equal signs) − #(different signs) = K − 2 popcount(a XOR b)

A sign is a bit, 1 for +1; a row of K of them fills ⌈K / 64⌉ words, and what is left of
the last word holds zeros in *both* matrices. XOR makes zeros of them, so the tail adds
nothing. (With XNOR, which the field says, each bit of the tail would count as an equal
sign: 2 popcount(XNOR) − K is right only if the words' own length is subtracted.)

Bytes of a row: K / 8, against 4 K in float32. Guarantee: the integers of the dense
product, exactly.

Read in order: `pack_signs`, `popcount`, `xnor_product`, `product_of_signs`. Taught in
notebooks/08.
Source: Courbariaux et al. 2016, arXiv:1602.02830, section 3; the bits' order is that of
lib/quant/uniform/packing.py.
"""

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor
from torch.nn.functional import pad

from lib.quant.uniform.packing import pack, unpack

WORD = 64
PIECE = 2**20  # words of a partial result, so that it stays in the cache


def pack_signs(x: Float[Tensor, "rows cols"]) -> Int64[Tensor, "rows words"]:
    """A bit a number, 1 for x >= 0: the sign that `binarize` gives it.

    ValueError for NaN, and a matrix without elements.
    """
    if x.ndim != 2 or not x.numel() or x.isnan().any():
        raise ValueError(f"x of shape {tuple(x.shape)}: empty, no matrix, or with NaN")
    bits = pad((x >= 0).to(torch.uint8), (0, -x.shape[1] % WORD))
    return pack(bits, 1).view(torch.int64).view(len(x), -1)


def unpack_signs(
    words: Int64[Tensor, "rows words"], cols: int
) -> Float[Tensor, "rows cols"]:
    """±1 in float32; ValueError for columns that these words do not hold."""
    _check_cols(words, cols)
    bits = unpack(words.contiguous().view(torch.uint8).flatten(), 1, words.numel() * 64)
    return bits.view(len(words), -1)[:, :cols].float() * 2 - 1


def popcount(words: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """How many bits of each word are 1.

    Sums of two neighbours, of four, of eight; then one product adds up the eight bytes.
    """
    pairs = words - (words >> 1 & 0x5555555555555555)
    fours = (pairs & 0x3333333333333333) + (pairs >> 2 & 0x3333333333333333)
    bytes_ = fours + (fours >> 4) & 0x0F0F0F0F0F0F0F0F
    return (bytes_ * 0x0101010101010101 >> 56) & 0x7F


def xnor_product(
    a: Int64[Tensor, "m words"], b: Int64[Tensor, "n words"], cols: int
) -> Int32[Tensor, "m n"]:
    """A Bᵀ of matrices of ±1 that `pack_signs` packed, K = `cols` columns before.

    ValueError for words of different numbers, and columns that they do not hold.
    """
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"rows of {a.shape[1]} and {b.shape[1]} words")
    _check_cols(a, cols)
    return product_of_signs(a, b, cols)


@torch.library.custom_op(
    "llm_compression::product_of_signs",
    mutates_args=(),
    schema="(Tensor a, Tensor b, int cols) -> Tensor",
)
def product_of_signs(
    a: Int64[Tensor, "m words"], b: Int64[Tensor, "n words"], cols: int
) -> Int32[Tensor, "m n"]:
    """`xnor_product` of operands that were checked.

    A registered operation: on a CPU the bits are counted by NumPy, which uses the
    processor's instruction for it; elsewhere by `popcount`, until `lib.kernels` is
    imported and brings a kernel for CUDA (lib/kernels/xnor).
    """
    if a.device.type != "cpu":
        return cols - 2 * popcount(a[:, None] ^ b).sum(-1, dtype=torch.int32)
    left, right = (x.numpy().view(np.uint64) for x in (a.contiguous(), b.contiguous()))
    out = np.empty((len(a), len(b)), np.int32)
    rows = max(1, PIECE // max(right.size, 1))
    for start in range(0, len(a), rows):
        differ = np.bitwise_count(left[start : start + rows, None] ^ right)
        out[start : start + rows] = differ.sum(-1, dtype=np.int32)
    return cols - 2 * torch.from_numpy(out)


@product_of_signs.register_fake
def _shape_only(a: Tensor, b: Tensor, cols: int) -> Tensor:
    return a.new_empty(len(a), len(b), dtype=torch.int32)


def _check_cols(words: Tensor, cols: int) -> None:
    if not 0 < cols <= words.shape[1] * WORD or -(-cols // WORD) != words.shape[1]:
        raise ValueError(f"{cols} columns are not in {words.shape[1]} words of 64")
