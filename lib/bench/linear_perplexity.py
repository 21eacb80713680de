"""Perplexity of SmolLM2 after rounding to nearest, for every bit width and group size.

    python -m lib.bench linear_perplexity    # 56 perplexities, on a GPU if there is one

Weights alone first: w becomes ŵ, the product stays in float32. Then weights and
activations: every layer a `W8A8Linear`, its inputs' grids from one token each
(dynamic) or from calibration plays (static), by each rule. Every point keeps the loss
of each window, so that a lecture can repeat one and compare. Lecture 03 draws it.
Read in order: `rounded`, `weight_points`, `activation_points`, `main`.
"""

import argparse
import math
from typing import Any

import torch
from torch import nn

from lib.bench.record import Run, record
from lib.data.text import calibration_windows
from lib.layers.w8a8 import W8A8Linear
from lib.models.evaluate import EvaluationProtocol, window_losses
from lib.models.hooks import stream_inputs
from lib.models.load import load_model
from lib.models.walk import linear_layers, mapped_weights, replace_layer
from lib.progress import progress
from lib.quant import (
    Histogram,
    bits_per_weight,
    fake_quantize,
    search_clip,
    static_grid,
)

BITS = range(2, 9)
GROUPS = ("tensor", "channel", 192, 64, 32)  # both widths, 576 and 1536, divide
RULES = ("minmax", "percentile", "mse", "kl")


def measured(model: nn.Module, windows) -> dict[str, Any]:
    """Perplexity over all windows, and the mean loss in nats of each."""
    nats = window_losses(model, windows)
    return {"perplexity": math.exp(nats.mean().item()), "window_nats": nats.tolist()}


def rounded(
    model: nn.Module, windows, *, clipped: bool = False, **kind
) -> dict[str, Any]:
    """One point: the kind of grid, the bits it stores a weight, what it leaves."""

    def nearest(_: str, w: torch.Tensor) -> torch.Tensor:
        clip = search_clip(w, **kind) if clipped else 1.0
        return fake_quantize(w, clip=clip, **kind)

    shapes = [tuple(layer.weight.shape) for layer in linear_layers(model).values()]
    total = sum(rows * cols for rows, cols in shapes)
    stored = sum(r * c * bits_per_weight((r, c), **kind) for r, c in shapes) / total
    with mapped_weights(model, nearest):
        point = measured(model, windows)
    return {**kind, "clipped": clipped, "bits_per_weight": stored, **point}


def weight_points(model: nn.Module, windows) -> list[dict[str, Any]]:
    """Every bit width at every group size, asymmetric; and two variants of some.

    Symmetric in groups of 64; and clipped for the least squared error, at few bits.
    """
    asymmetric = [
        {"bits": bits, "group": group, "symmetric": False}
        for bits in BITS
        for group in GROUPS
    ]
    kinds = [
        *asymmetric,
        *({"bits": bits, "group": 64, "symmetric": True} for bits in BITS),
        *(
            kind | {"clipped": True}
            for kind in asymmetric
            if kind["bits"] <= 4 and kind["group"] in ("channel", 64)
        ),
    ]
    return [rounded(model, windows, **kind) for kind in progress(kinds, "weights")]


def int8_model(model: nn.Module, inputs: dict[str, Any]) -> dict[str, nn.Module]:
    """Replace every named layer by its int8 twin; return the layers that were there."""
    layers = linear_layers(model)
    return {
        name: replace_layer(
            model, name, W8A8Linear.from_linear(layers[name], inputs=grid)
        )
        for name, grid in inputs.items()
    }


def observe(model: nn.Module, windows) -> dict[str, Histogram]:
    """The histogram of every linear layer's inputs."""
    seen = {name: Histogram() for name in linear_layers(model)}
    stream_inputs(model, windows, {name: h.observe for name, h in seen.items()})
    return seen


def activation_points(model: nn.Module, windows, calibration) -> dict[str, Any]:
    """Int8 weights and activations, by where the inputs' grids come from.

    The key "weights alone" keeps the activations in float32: the floor of the others.
    """
    kind = {"bits": 8, "group": "channel", "symmetric": True}
    points = {"weights alone": rounded(model, windows, **kind)}
    seen = observe(model, calibration)
    for how in progress(("token", "tensor", *RULES), "activations"):
        static = how in RULES
        inputs = {
            name: static_grid(h, how) if static else how for name, h in seen.items()
        }
        originals = int8_model(model, inputs)
        points[how] = measured(model, windows)
        for name, layer in originals.items():
            replace_layer(model, name, layer)
    return points


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """There are none: one protocol, every grid."""


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure everything, on a GPU if there is one, and record."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, tokenizer = load_model()
    model.to(device)
    protocol = EvaluationProtocol()
    windows = protocol.windows(tokenizer).to(device)
    calibration = calibration_windows(tokenizer, count=8).to(device)
    results = {
        "baseline": measured(model, windows),
        "activations_int8": activation_points(model, windows, calibration),
        "weights": weight_points(model, windows),
    }
    how = f"{protocol}; static grids from 8 windows of 512 of the calibration plays"
    print(record(run, results, protocol=how).name)
    return True
