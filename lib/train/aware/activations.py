"""Round what flows through a model: the inputs of its layers, its keys and values.

    inputs    x̂ before every linear layer but the head
    cache     k̂ and v̂ behind k_proj and v_proj: keys before their rotation, as published

Hooks do it, on whatever linear layers there are: float, aware or packed. They survive
`replace_layer`, so a model that is packed after its training still rounds the same
numbers. Gradients pass straight through.

Read in order: `Rounded`, `round_activations`.  Taught in notebooks/08.
Source: Liu et al. 2023, "LLM-QAT", arXiv:2305.17888, section 2.2 and its code.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lib.layers.packed import PackedLinear
from lib.quant.aware.tokens import fake_tokens
from lib.train.aware.layers import AwareLinear

CACHED = ("k_proj", "v_proj")


@dataclass(frozen=True)
class Rounded:
    """Bits of the inputs, and of keys and values; None leaves them alone.

    ValueError for bits outside 2 to 8.
    """

    inputs: int | None = 8
    cache: int | None = None

    def __post_init__(self) -> None:
        """Refuse what has no grid."""
        for name in ("inputs", "cache"):
            if getattr(self, name) not in (None, *range(2, 9)):
                raise ValueError(f"{name}={getattr(self, name)} is not in 2 to 8")


@contextmanager
def round_activations(model: nn.Module, settings: Rounded) -> Iterator[nn.Module]:
    """Round for the length of a `with` block. ValueError for no linear layers."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    kinds = nn.Linear | AwareLinear | PackedLinear
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, kinds) and module is not head
    }
    if not layers:
        raise ValueError("no linear layer in the model, but its head")
    handles = []
    for name, layer in layers.items():
        if settings.inputs:
            handles.append(layer.register_forward_pre_hook(_input(settings.inputs)))
        if settings.cache and name.split(".")[-1] in CACHED:
            handles.append(layer.register_forward_hook(_output(settings.cache)))
    try:
        yield model
    finally:
        for handle in handles:
            handle.remove()


def _input(bits: int) -> Callable[..., Any]:
    def hook(layer: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (fake_tokens(args[0], bits), *args[1:])

    return hook


def _output(bits: int) -> Callable[..., Tensor]:
    def hook(layer: nn.Module, args: tuple[Tensor, ...], y: Tensor) -> Tensor:
        return fake_tokens(y, bits)

    return hook
