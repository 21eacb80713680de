"""Ŵ as files hold it: packed tensors, unpacked anew in every call.

`Held` is what this and `KernelMatrix` (kernel_matrix.py) have in common: tensors that a
module carries from device to device as bytes, so that no `half()` rounds a scale. They
are in no state dict: the layer writes it (packed.py).

Read in order: `Held`, `StoredMatrix`.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

import lib.prune  # noqa: F401 - whose kinds of matrices it may hold
from lib.quant.method import Quantized
from lib.quant.serialize import Metadata, deserialize


class Held(nn.Module):
    """Named tensors as buffers of bytes."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.parts = {name: (t.dtype, t.shape) for name, t in tensors.items()}
        for name, tensor in tensors.items():
            flat = tensor.contiguous().reshape(-1).view(torch.uint8)
            self.register_buffer(name, flat, persistent=False)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors, as views of the bytes."""
        return {
            name: getattr(self, name).view(dtype).view(shape)
            for name, (dtype, shape) in self.parts.items()
        }

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(buffer.nbytes for buffer in self.buffers())


class StoredMatrix(Held):
    """Ŵ by `serialize`; where it is rotated, x and y are, and never the matrix."""

    def __init__(self, tensors: dict[str, Tensor], metadata: Metadata) -> None:
        super().__init__(tensors)
        self.metadata = metadata

    def quantized(self) -> Quantized:
        """What `serialize` took apart."""
        return deserialize(self.tensors(), self.metadata)

    def matrix(self, dtype: torch.dtype | None = None) -> Float[Tensor, "rows cols"]:
        """Ŵ in `dtype`, or as it dequantizes."""
        w = self.quantized().dequantize()
        return w if dtype is None else w.to(dtype)

    def suits(self, x: Float[Tensor, "... cols"]) -> bool:
        """A rotated matrix has a product of its own; the others are unpacked."""
        return self.metadata["kind"] == "incoherent"

    def forward(self, x: Float[Tensor, "... cols"]) -> Float[Tensor, "... rows"]:
        """y = Ŵ x in the dtype of x, by the matrix's own product."""
        return self.quantized().product(x)
