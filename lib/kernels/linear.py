"""A linear layer that multiplies by its codes: as small as they are, and fast.

    y = Ŵ x + b,   Ŵ as int4.py or nf4.py hold it, decoded inside the product

A `PackedLinear` of N x K weights reads N K / 2 bytes, and then writes and reads 2 N K
of Ŵ in each call. Here the N K / 2 are all. An act-order costs a gather of x, K
elements a token, and Ŵ stays in the order that its groups were cut in.

Read in order: `KernelLinear`, `accelerate`.
"""

from dataclasses import fields

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.kernels.int4 import Int4, int4_product, pack_int4
from lib.kernels.nf4 import Nf4, nf4_product, pack_nf4
from lib.models.walk import replace_layer
from lib.quant.grouped import Grouped
from lib.quant.normal_float import FourBit
from lib.quant.packed_linear import PackedLinear
from lib.quant.stored import Quantized, unstored


class KernelLinear(nn.Module):
    """`nn.Linear` over a matrix in a kernel's layout; for inference.

    Inputs are fp16, bf16 or float32; on a CPU the product is the kernels' reference.
    """

    def __init__(
        self,
        weight: Int4 | Nf4,
        bias: Float[Tensor, " rows"] | None = None,
        order: Int[Tensor, " cols"] | None = None,
    ) -> None:
        super().__init__()
        values = {field.name: getattr(weight, field.name) for field in fields(weight)}
        tensors = {k: v for k, v in values.items() if isinstance(v, Tensor)}
        self.parts = {name: (t.dtype, t.shape) for name, t in tensors.items()}
        self.kind = type(weight)
        self.words = {k: v for k, v in values.items() if k not in tensors}
        for name, tensor in tensors.items():  # as bytes: `half()` must not round steps
            self.register_buffer(name, tensor.reshape(-1).view(torch.uint8))
        self.register_buffer("bias", bias)
        self.register_buffer("order", order)

    @classmethod
    def of(cls, quantized: Quantized, bias: Tensor | None = None) -> "KernelLinear":
        """The layer of a quantized matrix; ValueError where no kernel takes it."""
        if isinstance(quantized, FourBit):
            return cls(pack_nf4(quantized), bias)
        if not isinstance(quantized, Grouped):
            raise ValueError(f"no kernel multiplies by a {type(quantized).__name__}")
        order = quantized.order
        if order is not None:
            quantized = Grouped(quantized.codes[:, order], quantized.grid)
        return cls(pack_int4(quantized), bias, order)

    @property
    def weight(self) -> Int4 | Nf4:
        """The matrix, wherever this layer's buffers are."""
        tensors = {
            name: getattr(self, name).view(dtype).view(shape)
            for name, (dtype, shape) in self.parts.items()
        }
        return self.kind(**tensors, **self.words)

    def forward(self, x: Float[Tensor, "... cols"]) -> Float[Tensor, "... rows"]:
        """y = Ŵ x + b, in the dtype of x."""
        if self.order is not None:
            x = x.index_select(-1, self.order)
        product = nf4_product if self.kind is Nf4 else int4_product
        y = product(x, self.weight)
        return y if self.bias is None else y + self.bias.to(y)

    @property
    def nbytes(self) -> int:
        """Bytes of codes, constants, order and bias."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def extra_repr(self) -> str:
        """Layout, shape and bytes, for printing a model."""
        (_, rows, _), cols = self.parts["codes"][1], self.words["planes"].cols
        return f"{self.kind.__name__.lower()}, {rows}x{cols}, {self.nbytes:,} bytes"


def accelerate(model: nn.Module) -> dict[str, str]:
    """Replace each `PackedLinear` that a kernel takes by a `KernelLinear`, in place.

    Return the layers that stay packed, and why: more than 4 bits, outliers apart, …
    """
    left = {}
    for name, layer in list(model.named_modules()):
        if not isinstance(layer, PackedLinear):
            continue
        tensors = {part: getattr(layer, part) for part in layer.names}
        try:
            fast = KernelLinear.of(unstored(tensors, layer.words), layer.bias)
        except ValueError as why:
            left[name] = str(why)
            continue
        replace_layer(model, name, fast)
    return left
