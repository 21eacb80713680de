"""Watch what goes into the parts of a model.

    with before(layers, look):           # look(arrival) just before each layer runs
        model(windows)

Read in order: `Arrival`, `before`, `stream_inputs`, `capture_inputs`; the walk that
changes layers as their inputs arrive is sequential.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.models.walk import select_layers
from lib.progress import progress

Receiver = Callable[[Tensor], None]  # takes one batch of inputs, (tokens, in_features)


@dataclass(frozen=True, eq=False)
class Arrival:
    """The moment before a layer runs: its name, the layer, and the inputs it will get.

    A layer is whatever module is watched: a linear layer, or a whole block.
    """

    name: str
    layer: nn.Module
    x: Tensor
    others: tuple[Any, ...]  # arguments beside x
    keywords: dict[str, Any]

    def output(self, x: Tensor | None = None) -> Any:
        """What the layer makes of `x` (by default its own inputs), as it is now."""
        x = self.x if x is None else x
        return self.layer.forward(x, *self.others, **self.keywords)


Look = Callable[[Arrival], Tensor | None]  # what replaces x, or None


@contextmanager
def before(layers: Mapping[str, nn.Module], look: Look) -> Iterator[None]:
    """For the length of a `with` block, call `look` before any of `layers` runs.

    It sees what the layer would see: hooks that were there already have done their
    work. A tensor that it returns goes into the layer instead. ValueError where a layer
    is called without a tensor.
    """

    def hook(name: str) -> Callable[..., Any]:
        def call(layer: nn.Module, args: tuple, keywords: dict) -> tuple[tuple, dict]:
            if not args and "input" in keywords:  # as nn.Linear names it
                args = (keywords.pop("input"),)
            if not args or not isinstance(args[0], Tensor):
                raise ValueError(f"{name} was called without a tensor as its input")
            x, *others = args
            replaced = look(Arrival(name, layer, x, tuple(others), keywords))
            return (x if replaced is None else replaced, *others), keywords

        return call

    handles = [
        layer.register_forward_pre_hook(hook(name), with_kwargs=True)
        for name, layer in layers.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def stream_inputs(
    model: nn.Module,
    windows: Int[Tensor, "n window"],
    receivers: Mapping[str, Receiver],
    *,
    batch: int = 2,
) -> None:
    """Run `windows` through the model; hand each named layer's inputs to its receiver.

    A receiver gets (tokens, in_features) once a batch, and keeps what it needs, such as
    a sum of X^T X, so that nothing else is stored. What comes after the last of these
    layers is not computed. ValueError for no windows, for a batch below 1, and for a
    name that is no linear layer's.
    """
    if windows.numel() == 0 or batch < 1:
        raise ValueError(f"windows of shape {tuple(windows.shape)}, batch={batch}")
    layers = select_layers(model, receivers)
    body = getattr(model, "base_model", model)
    waiting: set[str] = set()

    def look(arrival: Arrival) -> None:
        receivers[arrival.name](arrival.x.detach().flatten(0, -2))
        waiting.discard(arrival.name)
        if not waiting:
            raise _AllSeen

    with before(layers, look), torch.inference_mode():
        for ids in progress(windows.split(batch), "calibration"):
            waiting.update(layers)
            with suppress(_AllSeen):
                body(ids)


class _AllSeen(Exception):  # noqa: N818 - it ends a pass, and nothing went wrong
    """Each watched layer has been handed its inputs: the rest need not run."""


def capture_inputs(
    model: nn.Module,
    names: Iterable[str],
    windows: Int[Tensor, "n window"],
    *,
    batch: int = 2,
) -> dict[str, Float[Tensor, "tokens features"]]:
    """Return the named layers' inputs, one row a token, as plain tensors in memory.

    ValueError as `stream_inputs`.
    """
    kept: dict[str, list[Tensor]] = {name: [] for name in names}
    receivers = {name: rows.append for name, rows in kept.items()}
    stream_inputs(model, windows, receivers, batch=batch)
    return {name: torch.cat(rows).clone() for name, rows in kept.items()}
