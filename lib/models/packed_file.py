"""A model with packed layers as one safetensors file, and back; or dense again.

    save_quantized(model, path)        load_quantized(model of the same shape, path)

The file is the model's state dict; what the packed layers' tensors mean, and what a
rotated model does online (rotate/online.py), is in its metadata.
Read in order: `save_quantized`, `load_quantized`, `dense`.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lib.layers.packed import PackedLinear
from lib.models.rotate.fold import untie_head
from lib.models.rotate.online import install, online_parts
from lib.models.sequential import restored_on_failure
from lib.models.walk import replace_layer

ABOUT = "about"  # the key of what the tensors mean


def dense(model: nn.Module) -> nn.Module:
    """Replace each `PackedLinear` of `model` by a `nn.Linear` of Ŵ: fast, not small.

    Ŵ gets the dtype of the model's other parameters, if it has any.
    """
    others = [p.dtype for p in model.parameters() if p.is_floating_point()]
    dtype = others[0] if others else None
    for name, packed in _packed(model).items():
        weight = packed.weight_matrix(dtype)
        layer = nn.Linear(*weight.T.shape, bias=packed.bias is not None, device="meta")
        layer.weight = nn.Parameter(weight, requires_grad=False)
        if packed.bias is not None:
            layer.bias = nn.Parameter(packed.bias.to(weight.dtype), requires_grad=False)
        replace_layer(model, name, layer)
    return model


def save_quantized(
    model: nn.Module, path: Path, *, dtype: torch.dtype = torch.float16
) -> int:
    """Write the model's whole state as one safetensors file; return its bytes.

    What is not packed (embeddings, norms) is kept in `dtype`; of names that share one
    tensor, such as a tied head, the first. ValueError for a model without packed
    layers, and for numbers that `dtype` cannot hold.
    """
    packed = _packed(model)
    if not packed:
        raise ValueError("no PackedLinear in the model: quantize it first")
    inside = tuple(f"{name}." for name in packed)
    state = {}
    again = _aliases(model)
    for name, tensor in model.state_dict().items():
        if name in again:
            continue
        keep = name.startswith(inside) or not tensor.is_floating_point()
        kept = tensor if keep else tensor.to(dtype)
        if not keep and (lost := int((~kept.isfinite() & tensor.isfinite()).sum())):
            raise ValueError(
                f"{name} reaches {tensor.abs().amax():.3g}, and {lost} of its numbers "
                f"exceed {dtype}: choose another dtype"
            )
        state[name] = kept.clone(memory_format=torch.contiguous_format)
    layers = {name: layer.metadata for name, layer in packed.items()}
    about = {"layers": layers, "online": online_parts(model)}
    save_file(
        state, path, metadata={ABOUT: json.dumps(about)}
    )  # one: their order varies
    return Path(path).stat().st_size


def load_quantized(model: nn.Module, path: Path) -> nn.Module:
    """Fill `model`, built by the same configuration, from what `save_quantized` wrote.

    ValueError where the file is no such file, lacks or adds tensors, has them in other
    shapes, or ties what the model does not, or the reverse; `model` is then untouched.
    """
    file = Path(path).name
    try:
        with safe_open(path, "pt") as opened:
            about = json.loads((opened.metadata() or {})[ABOUT])
            layers = about["layers"]
            state = {n: opened.get_tensor(n) for n in opened.keys()}  # noqa: SIM118
    except (OSError, KeyError, SafetensorError) as error:
        raise ValueError(f"{file} is no saved quantized model: {error}") from error
    packed = {name: _layer(name, layers[name], state) for name in layers}
    with restored_on_failure(model):
        if online := about.get("online"):
            untie_head(model)  # as whatever rotates a model did
        _check_fits(model, packed, state, file)
        for name, layer in packed.items():
            replace_layer(model, name, layer)
        install(model, online or {})
    model.load_state_dict(state, strict=False)
    return model


def _layer(
    name: str, metadata: dict[str, Any], state: dict[str, Tensor]
) -> PackedLinear:
    """The packed layer `name`, whose tensors are taken out of `state`."""
    prefix = f"{name}."
    own = [key for key in state if key.startswith(prefix)]
    tensors = {key.removeprefix(prefix): state.pop(key) for key in own}
    bias = tensors.pop("bias", None)
    return PackedLinear(tensors, metadata, bias, name=name)


def _check_fits(
    model: nn.Module,
    packed: dict[str, PackedLinear],
    state: dict[str, Tensor],
    file: str,
) -> None:
    """ValueError unless each tensor of the model is in the file, once, in its shape."""
    modules, inside = dict(model.named_modules()), tuple(f"{n}." for n in packed)
    mine = {k: t for k, t in model.state_dict().items() if not k.startswith(inside)}
    again = _aliases(model)
    wrong = {
        "missing": [k for k in mine if k not in state and again.get(k) not in state],
        "unexpected": [k for k in state if k not in mine],
        "no layers": [name for name in packed if name not in modules],
        "of another shape": [
            k for k in mine if k in state and mine[k].shape != state[k].shape
        ]
        + [n for n in packed if n in modules and not _same_size(modules[n], packed[n])],
        "tied in the model only": [
            k
            for k in state
            if k in again and not torch.equal(state[k], state[again[k]])
        ],
    }
    said = [f"{what} {names[:4]}" for what, names in wrong.items() if names]
    if said:
        raise ValueError(
            f"{file} does not fit {type(model).__name__}: {', '.join(said)}"
        )


def _same_size(layer: nn.Module, packed: PackedLinear) -> bool:
    """Whether `packed` can stand for `layer`, whose W may lie transposed (Conv1D)."""
    w = getattr(layer, "weight", None)
    size = packed.out_features, packed.in_features
    has_bias = getattr(layer, "bias", None) is not None
    same = w is not None and tuple(w.shape) in (size, size[::-1])
    return same and has_bias == (packed.bias is not None)


def _aliases(model: nn.Module) -> dict[str, str]:
    """Names whose tensor has an earlier name, and that name: a head that is tied."""
    first: dict[int, str] = {}
    again: dict[str, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if first.setdefault(id(tensor), name) != name:
            again[name] = first[id(tensor)]
    return again


def _packed(model: nn.Module) -> dict[str, PackedLinear]:
    return {n: m for n, m in model.named_modules() if isinstance(m, PackedLinear)}
