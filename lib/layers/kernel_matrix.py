"""A quantized matrix in a kernel's layout: as small as its codes, and fast.

    y = Ŵ x,   Ŵ as lib.kernels' int4 or nf4 holds it, decoded inside the product

Dequantizing N x K weights reads N K / 2 bytes, and then writes and reads 2 N K of Ŵ in
each call. Here the N K / 2 are all, until there are so many tokens that arithmetic, not
bytes, takes the time: then Ŵ is written once. An act-order costs a gather of x, and Ŵ
stays in the order that its groups were cut in.

Nothing is lost: `quantized` gives back, bit for bit, what `from_quantized` took.

Read in order: `KernelMatrix`. Who uses it: packed.py.
"""

from dataclasses import fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lib.kernels.core.entry import DTYPES
from lib.kernels.core.planes import unpack_constants
from lib.kernels.int4 import Int4, int4_product, pack_int4
from lib.kernels.int4.product import MIDDLE
from lib.kernels.nf4 import Nf4, nf4_product, pack_nf4
from lib.kernels.unfold import unfolded
from lib.layers.stored import Held
from lib.quant.codebooks.double import DoubleScales
from lib.quant.codebooks.normal_float import FourBit
from lib.quant.method import Quantized
from lib.quant.uniform.grid import Grid
from lib.quant.uniform.grouped import Grouped

# Up to so many tokens the product decodes by itself: at 8192² on an H100 unfolding and
# fp16 take 110 µs; int4 takes 37 for 128 tokens, and NF4 20 for every 16.
MOST_TOKENS = {Int4: 256, Nf4: 80}


class KernelMatrix(Held):
    """Ŵ in a kernel's layout; for inference. `quantized` is what files are made of."""

    def __init__(
        self, weight: Int4 | Nf4, order: Tensor | None, like: Grouped | FourBit
    ) -> None:
        values = {field.name: getattr(weight, field.name) for field in fields(weight)}
        tensors = {k: v for k, v in values.items() if isinstance(v, Tensor)}
        super().__init__(tensors)
        self.kind = type(weight)
        self.layout = {k: v for k, v in values.items() if k not in tensors}
        self.register_buffer("order", order, persistent=False)
        self._built: tuple[Tensor, Int4 | Nf4] | None = None  # of which codes, what
        four_bit = isinstance(like, FourBit)
        self.dtype = like.dtype if four_bit else torch.float32  # of the dequantized
        self.ends = None if four_bit else (like.grid.low, like.grid.high)

    @classmethod
    def from_quantized(cls, quantized: Quantized) -> "KernelMatrix":
        """The layout of a quantized matrix; ValueError where no kernel takes it."""
        if isinstance(quantized, FourBit):
            return cls(pack_nf4(quantized), None, quantized)
        if not isinstance(quantized, Grouped):
            raise ValueError(f"no kernel multiplies by a {type(quantized).__name__}")
        order, cut = quantized.order, quantized
        if order is not None:
            cut = Grouped(quantized.codes[:, order], quantized.grid)
        return cls(pack_int4(cut), order, quantized)

    @property
    def weight(self) -> Int4 | Nf4:
        """The matrix, wherever the buffers are; built anew once they have moved."""
        codes = self.codes
        if self._built is None or self._built[0] is not codes:
            self._built = codes, self.kind(**self.tensors(), **self.layout)
        return self._built[1]

    def __getstate__(self) -> dict[str, Any]:
        """Its state without the views, which a copy builds anew."""
        return self.__dict__ | {"_built": None}

    def quantized(self) -> Grouped | FourBit:
        """What `from_quantized` took."""
        way_back = _four_bit if self.kind is Nf4 else _grouped
        return way_back(self, self.weight)

    def matrix(self, dtype: torch.dtype | None = None) -> Float[Tensor, "rows cols"]:
        """Ŵ in `dtype`, or as it dequantizes."""
        dtype = dtype or self.dtype
        w = unfolded(self.weight, dtype if dtype in DTYPES else torch.float32).to(dtype)
        if self.order is None:
            return w
        return torch.empty_like(w).index_copy_(1, self.order, w)

    def suits(self, x: Float[Tensor, "... cols"]) -> bool:
        """Few tokens, of a dtype that kernels know, and no gradient is wanted."""
        few = x.numel() <= MOST_TOKENS[self.kind] * x.shape[-1]
        learns = x.requires_grad and torch.is_grad_enabled()
        return few and x.dtype in DTYPES and not learns

    def forward(self, x: Float[Tensor, "... cols"]) -> Float[Tensor, "... rows"]:
        """y = Ŵ x in the dtype of x; ValueError for an x with a gradient."""
        if self.order is not None:
            x = x.index_select(-1, self.order)
        product = nf4_product if self.kind is Nf4 else int4_product
        return product(x, self.weight)

    def extra_repr(self) -> str:
        """Layout, shape and bytes, for printing a model."""
        (_, rows, _), cols = self.parts["codes"][1], self.layout["planes"].cols
        return f"{self.kind.__name__.lower()}, {rows}x{cols}, {self.nbytes:,} bytes"


def _grouped(held: KernelMatrix, weight: Int4) -> Grouped:
    """Codes above their lowest one, and in their own order again."""
    low, high = held.ends
    by = MIDDLE if low < 0 else 0
    codes = weight.unpacked()
    if by:
        codes = (codes.to(torch.int16) - by).to(torch.int8)
    if held.order is not None:
        codes = torch.empty_like(codes).index_copy_(1, held.order, codes)
    scale, zero = weight.grid()
    zero = (zero.expand(scale.shape) - by).contiguous()
    grid = Grid(scale.float().contiguous(), zero, low, high)
    return Grouped(codes, grid, held.order)


def _four_bit(held: KernelMatrix, weight: Nf4) -> FourBit:
    """Pairs of codes and the scales, both in row-major order."""
    codes = weight.unpacked().flatten()
    scales = unpack_constants(weight.scales, weight.planes).T.flatten()
    if scales.dtype == torch.uint8:
        nested = weight.nested, weight.mean, weight.nested_block
        scales = DoubleScales(scales, *nested)
    return FourBit(
        packed=codes[::2] << 4 | codes[1::2],
        scales=scales,
        kind="nf4",
        block=weight.planes.group,
        shape=torch.Size((weight.codes.shape[1], weight.planes.cols)),
        dtype=held.dtype,
    )
