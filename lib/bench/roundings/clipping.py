"""Where clipping hurts: which groups, which kinds of layers, which blocks.

    python -m lib.bench clipping          # some minutes on one core

Weights are rounded to nearest at 4 bits in groups of 64. `search_clip` gives each group
the range of least squared error; a row uses those ranges in some groups only, and the
whole range elsewhere. A group is far where a weight lies beyond 8 standard deviations
of its layer's weights. Lecture 03 shows the rows.

Read in order: `far`, `choices`, `measure`, `main`.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from lib.bench.record import Run
from lib.bench.roundings.window import add_options, loss, recorded
from lib.models.evaluate import EvaluationProtocol, window_losses
from lib.models.load import load_model
from lib.models.walk import linear_layers, mapped_weights
from lib.progress import progress
from lib.quant import fake_quantize, search_clip

__all__ = ["add_options", "main", "measure"]

KIND = {"bits": 4, "group": 64}
BEYOND = 8  # standard deviations
KINDS = ("q", "k", "v", "o", "gate", "up", "down")
Choice = Callable[[str, Tensor], Tensor]  # name, weight -> which groups are clipped


def far(w: Tensor) -> Tensor:
    """Which groups (rows, groups) of w hold a weight beyond 8 standard deviations."""
    return w.unflatten(1, (-1, KIND["group"])).abs().amax(-1) > BEYOND * w.std()


def choices() -> Iterator[tuple[str, Choice]]:
    """Names and the groups to clip."""
    yield "none", lambda _, w: torch.zeros_like(far(w))
    yield "all", lambda _, w: torch.ones_like(far(w))
    yield "all but far", lambda _, w: ~far(w)
    yield "far only", lambda _, w: far(w)
    for kind in KINDS:
        yield (
            f"{kind} only",
            lambda name, w, kind=kind: torch.full_like(
                far(w), name.endswith(f"{kind}_proj")
            ),
        )


def measure(protocol: EvaluationProtocol) -> dict[str, Any]:
    """A perplexity a choice; and how many groups are far, how many layers gain."""
    model, tokenizer = load_model()
    windows, layers = protocol.windows(tokenizer), linear_layers(model)
    clips = {n: search_clip(layer.weight, **KIND) for n, layer in layers.items()}
    rows = []
    for name, chosen in progress(list(choices()), "clipping"):

        def rounded(layer: str, w: Tensor, chosen: Choice = chosen) -> Tensor:
            clip = torch.where(chosen(layer, w), clips[layer], 1.0)
            return fake_quantize(w, clip=clip, **KIND)

        with mapped_weights(model, rounded):
            nats = window_losses(model, windows)
        groups = sum(
            chosen(n, layer.weight).sum().item() for n, layer in layers.items()
        )
        rows.append(
            {
                "clipped": name,
                "groups": groups,
            }
            | loss(nats)
        )
    total = sum(far(layer.weight).numel() for layer in layers.values())
    return {"groups": total, "rows": rows}


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure on the processor, and record."""
    return recorded(run, options, measure)
