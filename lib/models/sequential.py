"""The one walk that changes a model: each layer in turn, on the inputs it will get.

    x_1 → visit(1) → layer 1, as visit left it → x_2 → visit(2) → …

All calibration windows go through the model together. Just before a layer runs, `visit`
gets the layer and its inputs, made by layers that were visited already; what it does to
the layer is what the layer then runs with. So one forward pass calibrates a whole model
for quantizing, pruning or scaling its linear layers, or for training block by block.

Guarantee: where anything fails, a refusal or a Ctrl-C, the model is what it was before,
the very same tensors; the original ones are kept until the end, at the cost of their
memory. For that a visitor puts new parameters in place and never writes into old ones.

Read in order: `visit_layers`, `restored_on_failure`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Int
from torch import Tensor, nn

from lib.models.hooks import Arrival, Look, before
from lib.models.walk import HOOKS
from lib.progress import progress


def visit_layers(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    windows: Int[Tensor, "n window"],
    visit: Look,
    *,
    label: str,
) -> None:
    """Run all `windows` once; `visit` each of `layers` with its inputs as they arrive.

    ValueError where a layer of `layers` never runs, or runs twice, and for a model of
    two halves, which reads two texts.
    """
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        raise ValueError(
            f"{type(model).__name__} has an encoder and a decoder: one text of windows "
            "does not run both"
        )
    bar = iter(progress(layers, label))
    visited: set[str] = set()

    def arrive(arrival: Arrival) -> Tensor | None:
        if arrival.name in visited:
            raise ValueError(f"{arrival.name} runs twice in one pass: visit it once")
        visited.add(arrival.name)
        next(bar)
        return visit(arrival)

    body = getattr(model, "base_model", model)
    with restored_on_failure(model):
        try:
            with before(layers, arrive), torch.no_grad():
                body(windows, use_cache=False)
        finally:
            bar.close()
        if idle := [name for name in layers if name not in visited]:
            raise ValueError(
                f"{len(idle)} of {len(layers)} layers got no inputs, first {idle[0]}: "
                "the model reads their weights by itself"
            )


@contextmanager
def restored_on_failure(model: nn.Module) -> Iterator[None]:
    """Where a `with` block fails, put back what it replaced.

    Every parameter, buffer, module and hook, the same objects, and the configuration,
    whatever was raised.
    """
    config = getattr(model, "config", None)
    settings = {} if config is None else dict(vars(config))
    names = ("_parameters", "_buffers", "_modules")  # the dictionaries of nn.Module
    before_it = [
        (
            module,
            {name: dict(getattr(module, name)) for name in names},
            {name: (d := getattr(module, name), dict(d)) for name in HOOKS},
        )
        for module in model.modules()
    ]
    try:
        yield
    except BaseException:
        for module, contents, hooks in before_it:
            for name, content in contents.items():
                dictionary = getattr(module, name)
                dictionary.clear()
                dictionary.update(content)
            for name, (dictionary, content) in hooks.items():
                dictionary.clear()
                dictionary.update(content)
                setattr(module, name, dictionary)
        if config is not None:
            vars(config).clear()
            vars(config).update(settings)
        raise
