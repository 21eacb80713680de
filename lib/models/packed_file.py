"""A model with packed layers as one safetensors file, and back; or dense again.

    save_quantized(model, path)        load_quantized(model of the same shape, path)

The file is the model's state dict; what the packed layers' tensors mean is in its
metadata. Read in order: `save_quantized`, `load_quantized`, `dense`.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from lib.layers.packed import PackedLinear
from lib.models.walk import replace_layer


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
    ValueError for a model without packed layers.
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
    layers = {name: layer.metadata for name, layer in packed.items()}
    save_file(state, path, metadata={"layers": json.dumps(layers)})
    return Path(path).stat().st_size


def load_quantized(model: nn.Module, path: Path) -> nn.Module:
    """Fill `model`, built by the same configuration, from what `save_quantized` wrote.

    ValueError where the file is no such file, or lacks or adds tensors.
    """
    try:
        with safe_open(path, "pt") as file:
            layers = json.loads((file.metadata() or {})["layers"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, KeyError, SafetensorError) as error:
        raise ValueError(
            f"{Path(path).name} is no saved quantized model: {error}"
        ) from error
    for name, metadata in layers.items():
        prefix = f"{name}."
        tensors = {
            key.removeprefix(prefix): state.pop(key)
            for key in list(state)
            if key.startswith(prefix)
        }
        bias = tensors.pop("bias", None)
        replace_layer(model, name, PackedLinear(tensors, metadata, bias, name=name))
    missing, extra = model.load_state_dict(state, strict=False)
    elsewhere = (*(f"{name}." for name in layers), *_tied(model))
    missing = [name for name in missing if not name.startswith(elsewhere)]
    if missing or extra:
        raise ValueError(f"{Path(path).name}: missing {missing}, unexpected {extra}")
    return model


def _tied(model: nn.Module) -> tuple[str, ...]:
    """Parameters that share another's tensor and so are not in the file."""
    return tuple(getattr(model, "_tied_weights_keys", None) or ())


def _packed(model: nn.Module) -> dict[str, PackedLinear]:
    return {n: m for n, m in model.named_modules() if isinstance(m, PackedLinear)}
