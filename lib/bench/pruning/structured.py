"""SmolLM2 with parts cut out, before any retraining: which parts, and by which score.

    python -m lib.bench structured        → results/structured.json

Perplexity of *Hamlet*'s first windows with layers, neurons or heads gone, each kind by
its score, by another that looks as good, and at random (several seeds); neurons also
with `down_proj` refitted by least squares. Scores and moments come from calibration
plays. Nothing is cut for neurons and heads: a gate at zero computes the same, and the
model stays whole for the next row.

Read in order: `layers`, `neurons`, `heads`, `main`.
"""

import argparse
import copy
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lib.bench.record import Run, processor_name, record
from lib.data.text import calibration_windows
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.hooks import stream_inputs
from lib.models.load import load_model
from lib.models.structure.gates import gated, head_gradients, watch_structure
from lib.models.structure.surgery import drop_layers
from lib.models.walk import mapped_weights
from lib.progress import progress
from lib.prune.structured.heads import head_importance
from lib.prune.structured.importance import kept_of
from lib.prune.structured.refit import refit_columns
from lib.quant.hessian import Hessian

CALIBRATION, WINDOW = 16, 512
LAYERS = (1, 2, 3, 5, 8, 10)
SHARES = (0.1, 0.2, 0.25, 0.3, 0.5)  # of neurons and of heads that go
SEEDS = (0, 1, 2)  # of what goes at random

Row = dict[str, Any]


def layers(model: PreTrainedModel, windows: Tensor, influence: Tensor) -> Iterator[Row]:
    """The blocks of least influence, and as many in a row before the last two."""
    count = len(influence)
    for gone in LAYERS:
        kept = kept_of(influence, count - gone).tolist()
        ways = {
            "block influence": sorted(set(range(count)) - set(kept)),
            "neighbours before the last two": list(range(count - 2 - gone, count - 2)),
        }
        for way, which in ways.items():
            cut = copy.deepcopy(model)
            drop_layers(cut, which)
            yield {"way": way, "layers": which, "perplexity": perplexity(cut, windows)}


def gates_of(scores: Tensor, share: float) -> Tensor:
    """1 for what stays of each layer, the best by its own scores."""
    gates = torch.zeros(scores.shape)
    count = scores.shape[1] - int(share * scores.shape[1])
    for row, score in zip(gates, scores, strict=True):
        row[kept_of(score, count)] = 1
    return gates


def at_random(like: Tensor, seed: int) -> Tensor:
    """Scores of no meaning."""
    return torch.rand(like.shape, generator=torch.Generator().manual_seed(seed))


def neurons(
    model: PreTrainedModel, windows: Tensor, calibration: Tensor, scores: Tensor
) -> Iterator[Row]:
    """As many neurons of every layer, by importance, refitted, and at random."""
    names = [f"model.layers.{i}.mlp.down_proj" for i in range(len(scores))]
    moments = {name: Hessian(scores.shape[1]) for name in names}
    stream_inputs(model, calibration, {n: m.add for n, m in moments.items()})
    columns = [model.get_submodule(n).weight.norm(dim=0).double() for n in names]
    ways = {
        "importance": scores,
        "importance times the column of down_proj": scores * torch.stack(columns),
    } | {f"random, seed {seed}": at_random(scores, seed) for seed in SEEDS}
    for share in SHARES:
        for way, values in ways.items():
            gates = gates_of(values, share)
            row = {"way": way, "share": share}
            with gated(model, neurons=gates):
                yield row | {"refit": False, "perplexity": perplexity(model, windows)}
            if not way.startswith("importance"):
                continue

            def refitted(name: str, w: Tensor, gates: Tensor = gates) -> Tensor:
                kept = gates[names.index(name)].nonzero().flatten()
                fitted = refit_columns(w, kept, moments[name].matrix)
                return torch.zeros_like(w).index_copy(1, kept, fitted)

            with mapped_weights(model, refitted, names):
                yield row | {"refit": True, "perplexity": perplexity(model, windows)}


def heads(model: PreTrainedModel, windows: Tensor, gradients: Tensor) -> Iterator[Row]:
    """The heads of least importance in the whole model, and at random."""
    ways = {
        "gradient": head_importance(gradients),
        "gradient, per layer": head_importance(gradients, per_layer=True),
    } | {f"random, seed {seed}": at_random(gradients[0], seed) for seed in SEEDS}
    for share in SHARES:
        for way, values in ways.items():
            gates = gates_of(values.flatten()[None], share).view_as(values)
            with gated(model, heads=gates):
                found = perplexity(model, windows)
            yield {"way": way, "share": share, "perplexity": found}


def shown(rows: Iterable[Row], what: str) -> list[Row]:
    """The rows, with progress."""
    return list(progress(rows, what))


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How much of *Hamlet*."""
    parser.add_argument("--windows", type=int, default=4)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Watch the model once, cut in every way, and record."""
    model, tokenizer = load_model()
    windows = EvaluationProtocol().windows(tokenizer)[: options.windows]
    calibration = calibration_windows(tokenizer, count=CALIBRATION, window=WINDOW)
    watched, influence = watch_structure(model, calibration)
    scores = torch.stack([layer.score for layer in watched])
    turned = torch.tensor([layer.score for layer in influence])
    gradients = head_gradients(model, calibration)
    results = {
        "whole": perplexity(model, windows),
        "block_influence": turned.tolist(),
        "layers": shown(layers(model, windows, turned), "layers"),
        "neurons": shown(neurons(model, windows, calibration, scores), "neurons"),
        "heads": shown(heads(model, windows, gradients), "heads"),
    }
    how = (
        f"SmolLM2, float32, no retraining; perplexity of the first {len(windows)} "
        f"windows of Hamlet; scores from {CALIBRATION} calibration windows of {WINDOW}"
    )
    print(record(run, results, protocol=how, device=processor_name()).name)
    return True
