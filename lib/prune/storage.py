"""Sparse matrices as bytes: what zeros cost, and what is saved by leaving them out.

    of N weights, a share d kept in v bits each:       bits a weight
    dense          every weight                        v
    bitmap         1 bit a weight, then the kept       1 + d v
    CSR            a column (16 bits) by each kept     d (v + 16) + 32/cols
    block-sparse   a column by each kept b×b block     d v + d 16/b²
    n of m         n_of_m.py                           d (v + ⌈log2 m⌉)

So CSR in 16 bits saves nothing before half of the weights are gone; a bitmap pays from
1/16. Time is another matter: a bitmap must be unpacked, CSR reads x at random, and only
whole blocks, or rows, run at the speed of dense products.

Read in order: `Bitmap`, `CSR`, `BlockSparse`, `SparseCodes`.  Taught in notebooks/11.
Source: Saad 2003, Iterative Methods for Sparse Linear Systems, section 3.4.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int, Integer, UInt8
from torch import Tensor

from lib.quant.uniform.grid import Grid, dequantize
from lib.quant.uniform.packing import pack, unpack

COLUMNS = 2**16  # a column is stored in 16 bits


class _Stored:
    """What all forms share: `shape`, and tensors in `parts`."""

    shape: tuple[int, int]
    parts: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all that is stored."""
        return sum(getattr(self, part).nbytes for part in self.parts)

    @property
    def bits_per_weight(self) -> float:
        """Stored bits over all weights, the dropped ones included."""
        return 8 * self.nbytes / (self.shape[0] * self.shape[1])


def _wide(values: Tensor) -> Tensor:
    """Values as they are computed with: at least float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@dataclass(frozen=True, eq=False)
class Bitmap(_Stored):
    """One bit a weight, and the values that are not 0, row by row."""

    bits: UInt8[Tensor, " bytes"]
    values: Float[Tensor, " kept"]
    shape: tuple[int, int]
    parts = ("bits", "values")

    @classmethod
    def compress(cls, w: Float[Tensor, "rows cols"]) -> "Bitmap":
        """Store `w`, in its own dtype."""
        kept = w != 0
        return cls(pack(kept.to(torch.uint8), 1), w[kept], tuple(w.shape))

    def kept(self) -> Bool[Tensor, "rows cols"]:
        """What is stored."""
        rows, cols = self.shape
        return unpack(self.bits, 1, rows * cols).view(rows, cols).bool()

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """w, in float32 at least."""
        values = _wide(self.values)
        return values.new_zeros(self.shape).masked_scatter_(self.kept(), values)


@dataclass(frozen=True, eq=False)
class CSR(_Stored):
    """Compressed sparse rows: row i owns entries starts[i] … starts[i + 1] − 1."""

    starts: Int[Tensor, " rows_and_one"]  # int32
    columns: Integer[Tensor, " kept"]  # uint16
    values: Float[Tensor, " kept"]
    shape: tuple[int, int]
    parts = ("starts", "columns", "values")

    @classmethod
    def compress(cls, w: Float[Tensor, "rows cols"]) -> "CSR":
        """Store `w`; ValueError for more columns than 16 bits can tell apart."""
        if w.shape[1] > COLUMNS:
            raise ValueError(f"{w.shape[1]} columns do not fit 16 bits")
        kept = w != 0
        starts = torch.nn.functional.pad(kept.sum(1).cumsum(0), (1, 0)).int()
        columns = kept.nonzero()[:, 1].to(torch.uint16)
        return cls(starts, columns, w[kept], tuple(w.shape))

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """w, in float32 at least."""
        rows = torch.arange(self.shape[0], device=self.starts.device)
        rows = rows.repeat_interleave(self.starts.diff())
        values = _wide(self.values)
        w = values.new_zeros(self.shape)
        w[rows, self.columns.long()] = values
        return w

    def plain_product(
        self, x: Float[Tensor, "tokens cols"]
    ) -> Float[Tensor, "tokens rows"]:
        """x wᵀ as the definition has it: each row sums its own entries."""
        terms = x[:, self.columns.long()] * self.values.to(x)  # (tokens, kept)
        sums = torch.nn.functional.pad(terms.double().cumsum(1), (1, 0))
        return sums[:, self.starts.long()].diff(dim=1).to(x)

    def product(self, x: Float[Tensor, "tokens cols"]) -> Float[Tensor, "tokens rows"]:
        """x wᵀ by torch's sparse product, which on a CPU is the vendor's; as x's dtype.

        It is computed in that of the values, in float32 at least.
        """
        return (self._native @ x.T.to(self._native)).T.to(x)

    @cached_property
    def _native(self) -> Tensor:
        """The same entries with the wider columns that torch wants: for speed."""
        with warnings.catch_warnings():  # torch calls its sparse tensors a beta
            warnings.simplefilter("ignore", UserWarning)
            return torch.sparse_csr_tensor(
                self.starts,
                self.columns.int(),
                _wide(self.values),
                self.shape,
                check_invariants=False,
            )


@dataclass(frozen=True, eq=False)
class BlockSparse(_Stored):
    """The b × b blocks that are not all 0, row of blocks by row of blocks."""

    starts: Int[Tensor, " block_rows_and_one"]  # int32
    columns: Integer[Tensor, " blocks"]  # uint16, of blocks
    values: Float[Tensor, "blocks b b"]
    shape: tuple[int, int]
    parts = ("starts", "columns", "values")

    @classmethod
    def compress(cls, w: Float[Tensor, "rows cols"], *, block: int) -> "BlockSparse":
        """Store `w`; ValueError where `block` does not divide both of its sides."""
        if block < 1 or w.shape[0] % block or w.shape[1] % block:
            raise ValueError(f"block={block} does not divide {tuple(w.shape)}")
        if w.shape[1] // block > COLUMNS:
            raise ValueError(f"{w.shape[1] // block} blocks a row do not fit 16 bits")
        tiles = w.unflatten(1, (-1, block)).unflatten(0, (-1, block))
        tiles = tiles.transpose(1, 2)  # (block rows, block columns, b, b)
        kept = (tiles != 0).any(-1).any(-1)
        starts = torch.nn.functional.pad(kept.sum(1).cumsum(0), (1, 0)).int()
        columns = kept.nonzero()[:, 1].to(torch.uint16)
        return cls(starts, columns, tiles[kept], tuple(w.shape))

    @cached_property
    def _places(self) -> tuple[Int[Tensor, " blocks"], Int[Tensor, " blocks"]]:
        """The row and the column of every block."""
        rows = torch.arange(len(self.starts) - 1, device=self.starts.device)
        return rows.repeat_interleave(self.starts.diff()), self.columns.long()

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """w, in float32 at least."""
        values, b = _wide(self.values), self.values.shape[1]
        w = values.new_zeros(self.shape[0] // b, self.shape[1] // b, b, b)
        w[self._places] = values
        return w.transpose(1, 2).reshape(self.shape)

    def product(self, x: Float[Tensor, "tokens cols"]) -> Float[Tensor, "tokens rows"]:
        """x wᵀ by a small dense product for each block, summed by row of blocks."""
        rows, columns = self._places
        b, tokens = self.values.shape[1], len(x)
        tiles = x.T.reshape(-1, b, tokens)[columns]  # (blocks, b, tokens)
        y = x.new_zeros(self.shape[0] // b, b, tokens)
        y.index_add_(0, rows, torch.bmm(self.values.to(x), tiles))
        return y.flatten(0, 1).T


@dataclass(frozen=True, eq=False)
class SparseCodes(_Stored):
    """A bitmap whose values are codes on grids: pruned and quantized."""

    bits: UInt8[Tensor, " bytes"]
    codes: UInt8[Tensor, " code_bytes"]  # of what is kept, packed
    grid: Grid
    shape: tuple[int, int]

    @classmethod
    def compress(
        cls,
        kept: Bool[Tensor, "rows cols"],
        codes: UInt8[Tensor, "rows cols"],
        grid: Grid,
    ) -> "SparseCodes":
        """Keep the codes of what is kept; ValueError for signed grids, as `pack`."""
        if grid.low:
            raise ValueError(f"codes from {grid.low} up: only unsigned ones are stored")
        packed = pack(codes[kept], grid.bits)
        return cls(pack(kept.to(torch.uint8), 1), packed, grid, tuple(kept.shape))

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """s (q − z) where kept, else 0."""
        rows, cols = self.shape
        kept = unpack(self.bits, 1, rows * cols).view(rows, cols).bool()
        most = 8 * len(self.codes) // self.grid.bits  # the last byte may have room left
        few = unpack(self.codes, self.grid.bits, most)
        codes = few.new_zeros(rows, cols).masked_scatter_(kept, few)
        return torch.where(kept, dequantize(codes, self.grid), 0)

    @property
    def nbytes(self) -> int:
        """Bytes of bits, codes, fp16 scales and packed zeros."""
        groups = self.grid.scale.numel()
        constants = 2 * groups + -(-groups * self.grid.bits // 8)
        return self.bits.nbytes + self.codes.nbytes + constants
