"""The three kinds of matrix that a product with ends multiplies by, and their joining.

    joined([Q, K, V])     one matrix whose rows are those of Q, then K, then V

Products of the same x become one, with one launch. Rows keep their codes and constants,
so nothing is rounded anew. Only NF4's nested scales need care: they are shared by runs
of blocks that may not end where a matrix does, so the joined matrix keeps a c₂ for each
run of a common length, and a mean for each row.

Read in order: `Dense`, `rows_of`, `cols_of`; `joined`; `taken_apart`, `put_together`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import torch
from jaxtyping import Float
from torch import Tensor

from lib.kernels.core.planes import planes_of
from lib.kernels.int4 import Int4, int4_reference
from lib.kernels.nf4 import Nf4, nf4_reference


@dataclass(frozen=True, eq=False)
class Dense:
    """A matrix as it is."""

    weight: Float[Tensor, "rows cols"]

    @property
    def nbytes(self) -> int:
        """Bytes of all weights."""
        return self.weight.nbytes

    def to(self, device: torch.device | str) -> "Dense":
        """The same matrix elsewhere."""
        return Dense(self.weight.to(device))


Matrix = Dense | Int4 | Nf4


def rows_of(w: Matrix) -> int:
    """How many rows a matrix has."""
    return w.weight.shape[0] if isinstance(w, Dense) else w.codes.shape[1]


def cols_of(w: Matrix) -> int:
    """How many columns a matrix has."""
    return w.weight.shape[1] if isinstance(w, Dense) else w.planes.cols


def product_reference(
    x: Float[Tensor, "m cols"], w: Matrix, *, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "m rows"]:
    """x Ŵᵀ in `dtype`."""
    if isinstance(w, Dense):
        return x.to(dtype) @ w.weight.to(dtype).T
    reference = int4_reference if isinstance(w, Int4) else nf4_reference
    return reference(x.to(dtype), w, dtype=dtype)


def joined(matrices: Sequence[Matrix]) -> Matrix:
    """Their rows, one matrix after another.

    ValueError for different kinds, columns, groups or constants.
    """
    first, kinds = matrices[0], {type(w).__name__ for w in matrices}
    shapes = {(cols_of(w), getattr(w, "planes", None)) for w in matrices}
    if len(kinds) > 1 or len(shapes) > 1:
        raise ValueError(f"{sorted(kinds)} of {len(shapes)} layouts have no one kernel")
    if isinstance(first, Dense):
        return Dense(torch.cat([w.weight for w in matrices]))
    codes = torch.cat([w.codes for w in matrices], 1)
    if isinstance(first, Int4):
        if len({w.constants.dtype for w in matrices}) > 1:
            raise ValueError("some of the matrices have zero points, and some do not")
        return Int4(codes, torch.cat([w.constants for w in matrices], 1), first.planes)
    if len({(w.scales.dtype, w.nested_block) for w in matrices}) > 1:
        raise ValueError("the matrices' scales are stored in different ways")
    block = _common_block(matrices)
    means = [w.mean.expand(w.codes.shape[1]) for w in matrices]
    return Nf4(
        codes=codes,
        scales=torch.cat([w.scales for w in matrices], 1),
        nested=torch.cat([_nested(w, block) for w in matrices]),
        mean=torch.cat(means),
        planes=first.planes,
        nested_block=block,
    )


def _common_block(matrices: Sequence[Nf4]) -> int:
    """The longest run of blocks that share a c₂ in every matrix and end with it."""
    if matrices[0].scales.dtype == torch.float32:
        return 1
    counts = (w.codes.shape[1] * w.planes.groups for w in matrices[:-1])
    return gcd(matrices[0].nested_block, *counts)


def _nested(w: Nf4, block: int) -> Tensor:
    """c₂ of every `block` blocks."""
    if w.scales.dtype == torch.float32:
        return w.nested
    runs = -(-w.codes.shape[1] * w.planes.groups // block)
    return w.nested.repeat_interleave(w.nested_block // block)[:runs]


def taken_apart(w: Matrix) -> tuple[list[Tensor], list[int]]:
    """The tensors and the numbers of a matrix, as an operation of torch takes them."""
    if isinstance(w, Dense):
        return [w.weight], []
    if isinstance(w, Int4):
        return [w.codes, w.constants], [w.planes.cols, w.planes.group]
    numbers = [w.planes.cols, w.planes.group, w.nested_block]
    return [w.codes, w.scales, w.nested, w.mean], numbers


def put_together(tensors: list[Tensor], numbers: list[int]) -> Matrix:
    """The matrix that was taken apart."""
    if not numbers:
        return Dense(*tensors)
    planes = planes_of(*numbers[:2])
    if len(numbers) == 2:
        return Int4(*tensors, planes)
    return Nf4(*tensors, planes, numbers[2])
