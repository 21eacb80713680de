"""A linear layer that keeps nothing but packed codes and their constants.

    y = Ŵ x + b,   Ŵ unpacked anew in every call; on a GPU inside the product

A compiler sees through it (`torch.compile(fullgraph=True)`, `torch.export`), and it has
what libraries ask of a linear layer: `in_features`, `out_features`, and `weight`, which
is Ŵ, made anew for each who asks.

`held` is Ŵ, in one of two layouts: as files have it (`StoredMatrix`), or as the kernels
want it (`KernelMatrix`), on a GPU whose kernels take the matrix. The layer changes from
one to the other as it moves, and nobody else can tell: state dicts and files know the
stored tensors only, wherever the layer is. Where a kernel refuses the matrix, the layer
warns once, with its name and the reason. On a CPU packing saves memory, not time.

Read in order: `PackedLinear`; stored.py and kernel_matrix.py. Files: packed_file.py.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.kernels.core.compiler import runs_on
from lib.layers.kernel_matrix import KernelMatrix
from lib.layers.stored import StoredMatrix
from lib.quant.method import Quantized
from lib.quant.serialize import Metadata, serialize


class _Copy(Tensor):
    """A tensor to read. Who merged an adapter into its data would lose the adapter."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # results are plain

    @property
    def data(self) -> Tensor:
        """The numbers."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        raise ValueError(
            f"the weight of a packed layer, {tuple(self.shape)}, is a copy of its "
            "codes: make the model dense first (lib.models.packed_file.dense)"
        )


class PackedLinear(nn.Module):
    """`nn.Linear` over a quantized matrix, held packed; `name` is for its warnings."""

    def __init__(
        self,
        tensors: dict[str, Tensor],
        metadata: Metadata,
        bias: Float[Tensor, " rows"] | None = None,
        *,
        name: str = "",
    ) -> None:
        super().__init__()
        self.metadata, self.name = metadata, name
        self.out_features, self.in_features = metadata["shape"]
        self.refused = ""  # why no kernel takes the matrix, once a GPU was tried
        self.held: StoredMatrix | KernelMatrix = StoredMatrix(tensors, metadata)
        self.register_buffer("bias", bias)
        self._settle()

    @classmethod
    def from_quantized(
        cls, quantized: Quantized, bias: Tensor | None = None, *, name: str = ""
    ) -> "PackedLinear":
        """The layer of a quantized matrix; ValueError for one that has no file."""
        return cls(*serialize(quantized), bias, name=name)

    def tensors(self) -> dict[str, Tensor]:
        """What `serialize` made of the matrix."""
        if isinstance(self.held, StoredMatrix):
            return self.held.tensors()
        return serialize(self.held.quantized())[0]

    @property
    def weight(self) -> Float[Tensor, "rows cols"]:
        """Ŵ as it dequantizes, to be read: a copy whose `data` nobody can set."""
        return self.weight_matrix().as_subclass(_Copy)

    def weight_matrix(
        self, dtype: torch.dtype | None = None
    ) -> Float[Tensor, "rows cols"]:
        """Ŵ, unpacked; in `dtype`, or as it dequantizes."""
        return self.held.matrix(dtype)

    def forward(self, x: Float[Tensor, "... cols"]) -> Float[Tensor, "... rows"]:
        """y = Ŵ x + b, in the dtype of x."""
        if not self.held.suits(x):
            bias = None if self.bias is None else self.bias.to(x.dtype)
            return nn.functional.linear(x, self.weight_matrix(x.dtype), bias)
        y = self.held(x)
        return y if self.bias is None else y + self.bias.to(y)

    @property
    def nbytes(self) -> int:
        """Bytes of codes, constants and bias."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def extra_repr(self) -> str:
        """Kind, shape and bytes, for printing a model."""
        rows, cols = self.out_features, self.in_features
        why = f", unpacked in every call: {self.refused}" if self.refused else ""
        return f"{self.metadata['kind']}, {rows}x{cols}, {self.nbytes:,} bytes{why}"

    def _settle(self) -> None:
        """Hold what the device wants: the kernels' layout, or the stored tensors."""
        fast, stored = runs_on(self._device()), isinstance(self.held, StoredMatrix)
        if not fast and not stored:
            self.held = StoredMatrix(self.tensors(), self.metadata)
        elif fast and stored and not self.refused:
            try:
                self.held = KernelMatrix.from_quantized(self.held.quantized())
            except ValueError as error:
                self.refused = str(error)
                warnings.warn(
                    f"{self.name or 'a packed layer'} is unpacked in every call: "
                    f"{self.refused}",
                    stacklevel=2,
                )

    def _device(self) -> torch.device:
        return next(self.held.buffers()).device

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        super()._apply(fn, recurse)
        self._settle()
        return self

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination |= {prefix + name: t for name, t in self.tensors().items()}

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take new tensors of the same shapes, whichever way the matrix is held."""
        mine = self.tensors()
        new = {name: state_dict.get(prefix + name, old) for name, old in mine.items()}
        missing_keys += [prefix + n for n in mine if prefix + n not in state_dict]
        for name, tensor in new.items():
            if tensor.shape != mine[name].shape or tensor.dtype != mine[name].dtype:
                error_msgs.append(
                    f"{prefix}{name} is {tensor.dtype} {tuple(tensor.shape)}, not "
                    f"{mine[name].dtype} {tuple(mine[name].shape)}"
                )
                return
        device = self._device()
        self.held = StoredMatrix(
            {name: tensor.to(device).clone() for name, tensor in new.items()},
            self.metadata,
        )
        self._settle()
        others = {
            k: v for k, v in state_dict.items() if k.removeprefix(prefix) not in new
        }
        super()._load_from_state_dict(
            others,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )
