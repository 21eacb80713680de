"""A linear layer that keeps nothing but packed codes and constants; and its file.

    y = Ŵ x + b,   Ŵ unpacked anew in every call; on a GPU inside the product

The stored tensors are buffers, so that devices, state dicts and safetensors treat them
as any other, and `nbytes` is what the layer really holds. On a CPU that saves memory,
not time. On a GPU whose kernels take the matrix, the layer holds it in their layout
instead (lib/kernels/linear.py); a layer that must do without says why, when printed.
State dicts and files know the stored tensors only, wherever the layer is.

Read in order: `PackedLinear`, `save_quantized`, `load_quantized`.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lib.models.walk import replace_layer
from lib.quant.gpu import kernels_on
from lib.quant.stored import Quantized, Words, matrix, stored, unstored


class PackedLinear(nn.Module):
    """`nn.Linear` over a quantized matrix, held packed."""

    def __init__(
        self,
        tensors: dict[str, Tensor],
        words: Words,
        bias: Float[Tensor, " rows"] | None = None,
    ) -> None:
        super().__init__()
        self.words = words
        self.names = tuple(tensors)
        self.fast: nn.Module | None = None  # a KernelMatrix, in place of the tensors
        self.slow = ""  # why there is none on a GPU
        self.register_buffer("bias", bias)
        self._hold(tensors)
        self._settle()

    @classmethod
    def of(cls, quantized: Quantized, bias: Tensor | None = None) -> "PackedLinear":
        """The layer of a quantized matrix."""
        return cls(*stored(quantized), bias)

    def tensors(self) -> dict[str, Tensor]:
        """What `stored` made of the matrix."""
        if self.fast is not None:
            return stored(self.fast.quantized())[0]
        return {name: getattr(self, name) for name in self.names}

    def weight_matrix(
        self, dtype: torch.dtype | None = None
    ) -> Float[Tensor, "rows cols"]:
        """Ŵ, unpacked; in `dtype`, or as it dequantizes."""
        if self.fast is not None:
            return self.fast.matrix(dtype)
        w = matrix(unstored(self.tensors(), self.words))
        return w if dtype is None else w.to(dtype)

    def forward(self, x: Float[Tensor, "... cols"]) -> Float[Tensor, "... rows"]:
        """y = Ŵ x + b, in the dtype of x."""
        if self.fast is None or not self.fast.suits(x):
            return nn.functional.linear(x, self.weight_matrix(x.dtype), self.bias)
        y = self.fast(x)
        return y if self.bias is None else y + self.bias.to(y)

    @property
    def nbytes(self) -> int:
        """Bytes of codes, constants and bias."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def extra_repr(self) -> str:
        """Kind, shape and bytes, for printing a model."""
        rows, cols = self.words["shape"]
        why = f", unpacked in every call: {self.slow}" if self.slow else ""
        return f"{self.words['kind']}, {rows}x{cols}, {self.nbytes:,} bytes{why}"

    def _hold(self, tensors: dict[str, Tensor]) -> None:
        self.fast = None
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def _settle(self) -> None:
        """Hold what the device wants: the kernels' layout, or the stored tensors."""
        device = next(self.buffers()).device
        kernels = kernels_on(device)
        self.slow = ""
        if kernels is None and self.fast is not None:
            self._hold(self.tensors())
        elif kernels is not None and self.fast is None:
            quantized = unstored(self.tensors(), self.words)
            try:
                self.fast = kernels.linear.KernelMatrix.of(quantized)
            except ValueError as why:  # printed with the layer
                self.slow = str(why)
                return
            for name in self.names:
                delattr(self, name)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Move the stored tensors as bytes, so that no `half()` rounds a constant."""
        held = {} if self.fast is not None else self.tensors()
        for name, tensor in held.items():
            setattr(self, name, tensor.reshape(-1).view(torch.uint8))
        super()._apply(fn, recurse)
        for name, tensor in held.items():
            moved = getattr(self, name).view(tensor.dtype).view(tensor.shape)
            setattr(self, name, moved)
        self._settle()
        return self

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.fast is not None:
            tensors = self.tensors()
            destination |= {prefix + name: tensors[name] for name in self.names}

    def _load_from_state_dict(self, *args) -> None:
        if self.fast is not None:
            self._hold(self.tensors())
        super()._load_from_state_dict(*args)
        self._settle()


def dense(model: nn.Module) -> nn.Module:
    """Replace each `PackedLinear` of `model` by a `nn.Linear` of Ŵ: fast, not small."""
    for name, packed in _packed(model).items():
        weight = packed.weight_matrix()
        layer = nn.Linear(*weight.T.shape, bias=packed.bias is not None, device="meta")
        layer.weight = nn.Parameter(weight, requires_grad=False)
        if packed.bias is not None:
            layer.bias = nn.Parameter(packed.bias, requires_grad=False)
        replace_layer(model, name, layer)
    return model


def save_quantized(
    model: nn.Module, path: Path, *, dtype: torch.dtype = torch.float16
) -> int:
    """Write the model's whole state as one safetensors file; return its bytes.

    What is not packed (embeddings, norms) is kept in `dtype`, tied tensors once.
    """
    packed = _packed(model)
    if not packed:
        raise ValueError("no PackedLinear in the model: quantize it first")
    inside = tuple(f"{name}." for name in packed)
    state, seen = {}, set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() in seen and not name.startswith(inside):
            continue  # the head, tied to the embeddings
        seen.add(tensor.data_ptr())
        keep = name.startswith(inside) or not tensor.is_floating_point()
        state[name] = (tensor if keep else tensor.to(dtype)).contiguous()
    words = {name: layer.words for name, layer in packed.items()}
    save_file(state, path, metadata={"layers": json.dumps(words)})
    return Path(path).stat().st_size


def load_quantized(model: nn.Module, path: Path) -> nn.Module:
    """Fill `model`, built by the same configuration, from what `save_quantized` wrote.

    ValueError where the file is no such file, or lacks or adds tensors.
    """
    try:
        with safe_open(path, "pt") as file:
            words = json.loads((file.metadata() or {})["layers"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, KeyError, SafetensorError) as error:
        raise ValueError(
            f"{Path(path).name} is no saved quantized model: {error}"
        ) from error
    for name, about in words.items():
        prefix = f"{name}."
        tensors = {
            key.removeprefix(prefix): state.pop(key)
            for key in list(state)
            if key.startswith(prefix)
        }
        bias = tensors.pop("bias", None)
        replace_layer(model, name, PackedLinear(tensors, about, bias))
    missing, extra = model.load_state_dict(state, strict=False)
    elsewhere = (*(f"{name}." for name in words), *_tied(model))
    missing = [name for name in missing if not name.startswith(elsewhere)]
    if missing or extra:
        raise ValueError(f"{Path(path).name}: missing {missing}, unexpected {extra}")
    return model


def _tied(model: nn.Module) -> tuple[str, ...]:
    """Parameters that share another's tensor and so are not in the file."""
    return tuple(getattr(model, "_tied_weights_keys", None) or ())


def _packed(model: nn.Module) -> dict[str, PackedLinear]:
    return {n: m for n, m in model.named_modules() if isinstance(m, PackedLinear)}
