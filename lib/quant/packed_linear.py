"""A linear layer that keeps nothing but packed codes and constants; and its file.

    y = Ŵ x + b,   Ŵ unpacked anew in every call

The stored tensors are buffers, so that devices, state dicts and safetensors treat them
as any other, and `nbytes` is what the layer really holds. It saves memory, not time: a
kernel that multiplies by packed codes is lecture 16's.

Read in order: `PackedLinear`, `save_quantized`, `load_quantized`.
"""

import json
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lib.models.walk import replace_layer
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
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)
        self.register_buffer("bias", bias)

    @classmethod
    def of(cls, quantized: Quantized, bias: Tensor | None = None) -> "PackedLinear":
        """The layer of a quantized matrix."""
        return cls(*stored(quantized), bias)

    def weight_matrix(self) -> Float[Tensor, "rows cols"]:
        """Ŵ, unpacked."""
        return matrix(unstored({n: getattr(self, n) for n in self.names}, self.words))

    def forward(self, x: Float[Tensor, "... cols"]) -> Float[Tensor, "... rows"]:
        """y = Ŵ x + b, in the dtype of x."""
        return nn.functional.linear(x, self.weight_matrix().to(x.dtype), self.bias)

    @property
    def nbytes(self) -> int:
        """Bytes of codes, constants and bias."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def extra_repr(self) -> str:
        """Kind, shape and bytes, for printing a model."""
        rows, cols = self.words["shape"]
        return f"{self.words['kind']}, {rows}x{cols}, {self.nbytes:,} bytes"


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
