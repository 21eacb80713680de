"""Lloyd's iteration stops near where it starts: codebooks of a row, from two starts.

    python -m lib.bench codebook_starts      # some minutes on one core

Every row of every linear layer of SmolLM2 but the head has sixteen levels of its own,
by Lloyd's iteration from quantiles or from even levels; bits count levels in 16 bits.
Lecture 05 shows both.

Read in order: `from_start`, `measure`, `main`.
"""

import argparse
from typing import Any

import torch
from torch import Tensor

from lib.bench.record import Run
from lib.bench.roundings.window import add_options, loss, recorded
from lib.models.evaluate import EvaluationProtocol, window_losses
from lib.models.load import load_model
from lib.models.walk import linear_layers, mapped_weights
from lib.quant.codebooks.codebook import lloyd, nearest, quantile_levels

__all__ = ["add_options", "main", "measure"]

LEVELS = 16


def from_start(w: Tensor, start: str) -> Tensor:
    """w (rows, cols) with each weight on the nearest of its row's levels."""
    levels = quantile_levels(w, LEVELS)
    if start == "even":
        low, high = w.aminmax(dim=1, keepdim=True)
        levels = low + (high - low) * torch.linspace(0, 1, LEVELS)
    levels = lloyd(w, levels)
    return levels.gather(1, nearest(w, levels))


def measure(protocol: EvaluationProtocol) -> dict[str, Any]:
    """Bits, squared error over variance, and perplexity of both starts."""
    model, tokenizer = load_model()
    windows, layers = protocol.windows(tokenizer), linear_layers(model)
    sizes = {name: layer.weight.numel() for name, layer in layers.items()}
    books = sum(16 * LEVELS * len(layer.weight) for layer in layers.values())
    rows = []
    for start in ("quantiles", "even"):
        errors = []

        def rounded(_: str, w: Tensor, start: str = start, errors=errors) -> Tensor:
            w_hat = from_start(w, start)
            errors.append(((w_hat - w).square().mean() / w.var()).item())
            return w_hat

        with mapped_weights(model, rounded):
            nats = window_losses(model, windows)
        rows.append(
            {
                "start": start,
                "bits_per_weight": 4 + books / sum(sizes.values()),
                "error_over_variance": sum(errors) / len(errors),
            }
            | loss(nats)
        )
    return {"rows": rows}


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure on the processor, and record."""
    return recorded(run, options, measure)
