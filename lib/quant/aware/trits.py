"""Five trits in a byte: 3^5 = 243 of its 256 values, 1.6 bits a trit.

    byte = (t0 + 1) + 3 (t1 + 1) + 9 (t2 + 1) + 27 (t3 + 1) + 81 (t4 + 1)

and a product that never unpacks a weight. For five inputs there are only 243 sums
± x0 ± x1 … with some left out; make the table once a token, and each row of the matrix
reads one entry for every byte:

    y_i = Σ_k table_k[byte_ik]          table_k[b] = Σ_j t_j(b) x_(5k+j)

Cost: 243 · 5 products for five columns, whatever the rows, and then one look-up and one
addition for five weights. Guarantee: exact, for sums of int8 codes in int32. A row that
five does not divide ends in zeros, the byte's digits 1, which add nothing.

Read in order: `pack_trits`, `unpack_trits`, `trit_product`.  Taught in notebooks/08.
Sources: bitnet.cpp, arXiv:2410.16144 (its TQ1 formats hold 1.6 and 1.69 bits); tables
in place of products: T-MAC, arXiv:2407.00088.
"""

from functools import cache

import torch
from jaxtyping import Int8, Int32, UInt8
from torch import Tensor
from torch.nn.functional import pad

TRITS, VALUES = 5, 3**5


def pack_trits(codes: Int8[Tensor, "rows cols"]) -> UInt8[Tensor, "rows bytes"]:
    """⌈cols / 5⌉ bytes a row; ValueError for codes outside −1, 0, 1."""
    if codes.numel() and codes.to(torch.int16).abs().max() > 1:
        low, high = codes.min().item(), codes.max().item()
        raise ValueError(f"codes from {low} to {high} are no trits")
    digits = pad(codes, (0, -codes.shape[1] % TRITS)).unflatten(1, (-1, TRITS)) + 1
    return (digits.int() * _places(codes.device)).sum(-1).to(torch.uint8)


def unpack_trits(
    packed: UInt8[Tensor, "rows bytes"], cols: int
) -> Int8[Tensor, "rows cols"]:
    """The trits again; ValueError for columns that these bytes do not hold."""
    if -(-cols // TRITS) != packed.shape[1] or cols < 1:
        raise ValueError(f"{cols} columns are not in {packed.shape[1]} bytes a row")
    _check(packed)
    return _digits(packed.device)[packed.int()].flatten(1)[:, :cols]


def trit_product(
    x: Int8[Tensor, "tokens cols"], packed: UInt8[Tensor, "rows bytes"]
) -> Int32[Tensor, "tokens rows"]:
    """x Tᵀ, in integers, from the packed bytes.

    ValueError for rows of another length, and bytes that no trits have.
    """
    cols = x.shape[1]
    if -(-cols // TRITS) != packed.shape[1]:
        raise ValueError(f"{cols} columns are not in {packed.shape[1]} bytes a row")
    _check(packed)
    fives = pad(x, (0, -cols % TRITS)).unflatten(1, (-1, TRITS)).float()
    digits = _digits(x.device).float()  # sums of five int8 are exact in float32
    out = []
    for token in fives:  # (bytes, 5)
        table = (token @ digits.T).int().flatten()  # (bytes · 243)
        starts = VALUES * torch.arange(len(token), device=x.device)
        out.append(table[packed + starts].sum(1, dtype=torch.int32))
    return torch.stack(out) if out else x.new_zeros(0, len(packed), dtype=torch.int32)


@cache
def _digits(device: torch.device) -> Int8[Tensor, "243 5"]:
    """The five trits of each byte."""
    values = torch.arange(VALUES, device=device)[:, None]
    return (values // _places(device) % 3 - 1).to(torch.int8)


def _places(device: torch.device) -> Int32[Tensor, "5"]:
    return 3 ** torch.arange(TRITS, device=device, dtype=torch.int32)


def _check(packed: Tensor) -> None:
    if packed.numel() and packed.max() >= VALUES:
        raise ValueError(f"a byte is {packed.max().item()}, and five trits end at 242")
