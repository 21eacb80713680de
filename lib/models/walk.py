"""Walk a model's linear layers: list them, map their weights, replace them.

Every method of the course is a function over tensors; this file carries it to a model.

    with mapped_weights(model, lambda name, w: fake_quantize(w, bits=4, group=64)):
        perplexity(model, windows)        # measured with the quantized weights
    # and here the original weights are back, bit for bit

Read in order: `linear_layers`, `other_matrices`, `mapped_weights`, `replace_layer`; to
watch the layers' inputs, hooks.py, and to change layers on them, sequential.py.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lib.progress import progress

Mapper = Callable[[str, Tensor], Tensor]  # (layer's name, weight) -> weight
HOOKS = (  # the dictionaries in which nn.Module keeps what runs around `forward`
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
)


def linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """Return every `nn.Linear` by name, in the model's order, but its output heads.

    A head (of a vocabulary, of classes) reads what the model's body makes; it is left
    alone, as is usual in this field. Raises ValueError where there is no layer, where
    two share one weight, and for GPT-2's `Conv1D` (see `conv1d_to_linear`).
    """
    kept_alone = _embedding_weights(model)
    inside = set(getattr(model, "base_model", model).modules())
    layers, owner = {}, {}
    for name, module in model.named_modules():
        if isinstance(module, Conv1D):
            raise ValueError(
                f"{name} is a Conv1D, which holds W transposed: call "
                "`conv1d_to_linear(model)` of lib.models.walk first"
            )
        if not isinstance(module, nn.Linear) or module not in inside:
            continue
        if id(module.weight) in kept_alone:
            continue
        if id(module.weight) in owner:
            raise ValueError(
                f"{owner[id(module.weight)]} and {name} share one weight: "
                "untie them first, or each would be changed twice"
            )
        owner[id(module.weight)] = name
        layers[name] = module
    if not layers:
        kinds = sorted({type(m).__name__ for m in model.modules()})
        raise ValueError(f"no nn.Linear besides the head, only {', '.join(kinds)}")
    return layers


def _embedding_weights(model: nn.Module) -> set[int]:
    """Identities of the weights of the embeddings and of the head."""
    ends = ("get_input_embeddings", "get_output_embeddings")
    modules = [getattr(model, end)() for end in ends if hasattr(model, end)]
    return {id(m.weight) for m in modules if m is not None}


def other_matrices(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of two dimensions or more that no method of this course changes.

    By name: the experts of a mixture, fused into one tensor, are the most common ones.
    What belongs to `linear_layers`, an embedding or a head is not among them.
    """
    known = _embedding_weights(model)
    inside = set(getattr(model, "base_model", model).modules())
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding) or module not in inside:
            known |= {id(p) for p in module.parameters(recurse=False)}
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 and id(parameter) not in known
    }


def conv1d_to_linear(model: nn.Module) -> int:
    """Replace GPT-2's `Conv1D`s, y = x W + b, by `nn.Linear`s of Wᵀ; how many.

    In place; the model computes what it did, up to the order of its sums.
    """
    found = {n: m for n, m in model.named_modules() if isinstance(m, Conv1D)}
    for name, old in found.items():
        layer = nn.Linear(*old.weight.shape, device="meta")
        learns = old.weight.requires_grad
        layer.weight = nn.Parameter(old.weight.detach().T.contiguous(), learns)
        layer.bias = old.bias
        replace_layer(model, name, layer)
    return len(found)


def map_weights(
    model: nn.Module, fn: Mapper, names: Iterable[str] | None = None
) -> dict[str, nn.Parameter]:
    """Set each layer's weight to fn(name, weight); return the original parameters.

    `names` selects layers (all of `linear_layers` otherwise). `fn` must keep the shape
    and return finite floating-point numbers, else ValueError, and nothing is changed.
    """
    layers = select_layers(model, names)
    mapped = {}
    for name in progress(layers, "layers"):
        weight = layers[name].weight
        new = fn(name, weight.detach())
        _check_mapped(name, weight, new)
        mapped[name] = nn.Parameter(new.to(weight), requires_grad=weight.requires_grad)
    originals = {name: layer.weight for name, layer in layers.items()}
    for name, layer in layers.items():
        layer.weight = mapped[name]
    return originals


@contextmanager
def mapped_weights(
    model: nn.Module, fn: Mapper, names: Iterable[str] | None = None
) -> Iterator[nn.Module]:
    """`map_weights` for the length of a `with` block; then the originals return."""
    layers = select_layers(model, names)
    originals = map_weights(model, fn, layers)
    try:
        yield model
    finally:
        for name, weight in originals.items():
            layers[name].weight = weight


def replace_layer(model: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """Put `module` where the layer `name` is, and return the layer that was there.

    What runs before and after the layer moves to `module`: rotations, quantizers of
    activations and other hooks survive. ValueError for a name that no layer has.
    """
    parent, _, child = name.rpartition(".")
    modules = dict(model.named_modules())
    if name not in modules or not name:
        raise ValueError(_unknown(name, modules))
    old = modules[name]
    if module is not old:
        for (
            hooks
        ) in HOOKS:  # the dictionary itself moves: a handle finds its hook in it
            own, theirs = getattr(module, hooks), getattr(old, hooks)
            theirs.update(own)
            setattr(module, hooks, theirs)
            setattr(old, hooks, type(theirs)())
    setattr(modules[parent], child, module)
    return old


def select_layers(
    model: nn.Module, names: Iterable[str] | None
) -> dict[str, nn.Linear]:
    """The linear layers of these names, in the model's order; ValueError for others."""
    layers = linear_layers(model)
    if names is None:
        return layers
    wanted = set(names)
    for name in sorted(wanted - set(layers)):
        raise ValueError(_unknown(name, layers))
    return {name: layer for name, layer in layers.items() if name in wanted}


def _unknown(name: str, known: Iterable[str]) -> str:
    """Say that there is no such layer, and which names come near."""
    near = difflib.get_close_matches(name, list(known), n=3)
    return f"no layer named {name!r}" + (f"; near: {', '.join(near)}" if near else "")


def _check_mapped(name: str, old: Tensor, new: Tensor) -> None:
    """Raise ValueError unless `new` can stand in for the weight `old`."""
    if new.shape != old.shape:
        raise ValueError(
            f"{name}: the new weight has shape {tuple(new.shape)}, "
            f"the layer's is {tuple(old.shape)}"
        )
    if not new.is_floating_point():
        raise ValueError(f"{name}: the new weight is {new.dtype}: dequantize it first")
    if not torch.stack(new.aminmax()).isfinite().all():  # NaN wins both
        bad = int((~new.isfinite()).sum())
        raise ValueError(f"{name}: {bad} of {new.numel()} new weights are not finite")
