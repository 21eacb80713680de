"""SmolLM2's neurons cut and refitted: what is a weight on which the text is silent?

    python -m lib.bench refits    # some ten minutes of a core

Perplexity of *Hamlet*'s first window with the least important neurons of every layer
gone, `down_proj` as it was or refitted on calibration plays, pulled to 0 (with
`refit_columns`'s own damping) or to the weights before the cut (damping 1), by several
draws of the plays.

Read in order: `rows`, `main`.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lib.bench.pruning.structured import (
    CALIBRATION,
    DRAWS,
    WINDOW,
    gates_without,
    narrowed,
    readers,
)
from lib.bench.record import Run, processor_name, record
from lib.data.text import calibration_windows
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.hooks import stream_inputs
from lib.models.load import load_model
from lib.models.structure.gates import watch_structure
from lib.quant.hessian import Hessian

SHARES = (0.1, 0.2, 0.3)
WAYS: dict[str, dict[str, Any]] = {
    "toward zero": {"damping": 1e-4, "toward": "zero"},
    "toward the weights": {"damping": 1.0, "toward": "weights"},
}


def rows(
    model: PreTrainedModel, windows: Tensor, plays: Tensor, shares: tuple[float, ...]
) -> Iterator[dict[str, Any]]:
    """The cut and each refit, share by share, as one draw of plays has it."""
    scores = torch.stack([layer.score for layer in watch_structure(model, plays)[0]])
    moments = {name: Hessian(scores.shape[1]) for name in readers(model)}
    stream_inputs(model, plays, {name: h.add for name, h in moments.items()})
    for share in shares:
        gates = gates_without(scores, share)
        found = narrowed(model, windows, gates)
        yield {"share": share, "way": "cut", "perplexity": found}
        for way, settings in WAYS.items():
            found = narrowed(model, windows, gates, moments, **settings)
            yield {"share": share, "way": way, **settings, "perplexity": found}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many draws of the calibration windows."""
    parser.add_argument("--draws", type=int, default=len(DRAWS))


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Draw plays, cut, refit, and record every row."""
    model, tokenizer = load_model("smollm2")
    windows = EvaluationProtocol().windows(tokenizer)[:1]
    how = (
        "smollm2, float32, no retraining; perplexity of the first window of Hamlet; "
        f"importance and moments from {CALIBRATION} calibration windows of {WINDOW}"
    )
    found: list[dict[str, Any]] = []
    results = {"whole": perplexity(model, windows), "rows": found}
    for draw in DRAWS[: options.draws]:
        plays = calibration_windows(
            tokenizer, count=CALIBRATION, window=WINDOW, seed=draw
        )
        for row in rows(model, windows, plays, SHARES):
            found.append({"draw": draw} | row)
            record(run, results, protocol=how, device=processor_name())
    return True
