"""Which one per cent of the input channels should stay in full precision?

    python -m lib.bench salient           # some minutes on one core

Table 1 of the AWQ paper (Lin et al. 2023, arXiv:2306.00978) on SmolLM2: all weights are
rounded to nearest at 3 bits in groups of 64, then 1 % of each layer's columns get their
weights back: those of the largest mean |x| on calibration plays, of the largest norm of
their weights, or random ones (three draws). Lecture 06 shows the rows.

Read in order: `kept_columns`, `measure`, `main`.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lib.bench.record import Run
from lib.bench.roundings.window import add_options, loss, recorded
from lib.data.text import calibration_windows
from lib.models.evaluate import EvaluationProtocol, window_losses
from lib.models.hooks import stream_inputs
from lib.models.load import load_model
from lib.models.walk import linear_layers, mapped_weights
from lib.progress import progress
from lib.quant import fake_quantize
from lib.quant.hessian import Hessian

__all__ = ["add_options", "main", "measure"]

KIND = {"bits": 3, "group": 64}
SHARE = 0.01
SEEDS = (0, 1, 2)
WINDOWS = 8  # of calibration


def kept_columns(scores: Tensor) -> Tensor:
    """The 1 % of the columns with the largest scores, at least one."""
    return scores.topk(max(1, round(SHARE * len(scores)))).indices


def scorers(magnitudes: dict[str, Tensor]) -> Iterator[tuple[str, Any]]:
    """Names, and a score of every column from a layer's name and weights."""
    yield "none", None
    yield "by activation", lambda name, w: magnitudes[name]
    yield "by weight", lambda name, w: w.norm(dim=0)
    for seed in SEEDS:
        draw = torch.Generator().manual_seed(seed)
        yield (
            f"at random, {seed}",
            lambda name, w, draw=draw: torch.rand(w.shape[1], generator=draw),
        )


def measure(protocol: EvaluationProtocol) -> dict[str, Any]:
    """A perplexity a way to choose."""
    model, tokenizer = load_model()
    windows, layers = protocol.windows(tokenizer), linear_layers(model)
    moments = {name: Hessian(layer.in_features) for name, layer in layers.items()}
    text = calibration_windows(tokenizer, count=WINDOWS, window=512)
    stream_inputs(model, text, {name: m.add for name, m in moments.items()})
    magnitudes = {name: m.magnitude.float() for name, m in moments.items()}
    rows = []
    for kept, score in progress(list(scorers(magnitudes)), "salient"):

        def rounded(name: str, w: Tensor, score: Any = score) -> Tensor:
            w_hat = fake_quantize(w, **KIND)
            if score is not None:
                columns = kept_columns(score(name, w))
                w_hat[:, columns] = w[:, columns]
            return w_hat

        with mapped_weights(model, rounded):
            nats = window_losses(model, windows)
        rows.append({"kept": kept} | loss(nats))
    return {"share": SHARE, "rows": rows} | KIND


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure on the processor, and record."""
    how = f"; mean |x| from {WINDOWS} windows of 512 of the calibration plays"
    return recorded(run, options, measure, how)
