"""The table of lecture 11: perplexity of SmolLM2 by sparsity, for every way to prune.

    python -m lib.bench pruning                    # goes on where it was interrupted
    python -m lib.bench pruning --tables patterns --tokens 4096

All linear layers but the tied head are pruned, each fitted to the *dense* model's
inputs, so that their moments are taken once for all rows of a draw: 16 windows of 512
tokens from the calibration plays. Measured on the first tokens of *Hamlet*, held out,
and in the rows of `texts` on Python's help as well. Half protocol: 2,048 tokens.

Read in order: `Job`, `jobs`, `measure`, `main`.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor, nn

from lib.bench.record import Run, processor_name, record
from lib.data.text import calibration_windows
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.hooks import stream_inputs
from lib.models.load import load_model
from lib.models.walk import linear_layers, mapped_weights
from lib.progress import progress
from lib.prune.magnitude import Magnitude, global_magnitude
from lib.prune.masks import Pattern
from lib.prune.sparsegpt import SparseGPT
from lib.prune.wanda import Wanda
from lib.quant.hessian import Hessian
from lib.quant.method import Method
from lib.quant.solvers.gptq import GPTQ

TABLES = ("patterns", "draws", "bytes", "refit", "rows")
WINDOWS = 16
SHARED = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}  # one input


@dataclass(frozen=True)
class Job:
    """One row. `share` is for global magnitude, whose method depends on the model."""

    table: str
    method: Method | None  # None is the dense model
    seed: int = 0  # of the draw of the calibration windows
    share: float | None = None

    @property
    def name(self) -> str:
        """What the row is called."""
        if self.share is not None:
            return "Magnitude, global"
        return "dense" if self.method is None else type(self.method).__name__

    @property
    def key(self) -> str:
        """What tells it from other rows."""
        return f"{self.table}, {self.method!r}, {self.share}, seed {self.seed}"


def jobs(*tables: str) -> list[Job]:
    """Every row of these tables, or of all; what is asked for most comes first."""
    rows = [
        Job("patterns", None),
        *_patterns(0.5, (2, 4)),
        Job("rows", Wanda(0.5, per_row=False)),
        Job("bytes", GPTQ(3)),
        Job("bytes", SparseGPT(0.5, bits=4)),
        *_patterns(0.3, 0.7),
        *_draws(1),
        *_patterns(0.1, (4, 8), 0.6),
        Job("rows", Magnitude(0.5, per_row=True)),
        *_draws(2),
        Job("refit", Wanda(0.5, refit=True)),
        Job("bytes", GPTQ(4)),
        Job("bytes", SparseGPT((2, 4), bits=4)),
        *_patterns(0.4, 0.2),
        Job("refit", Wanda((2, 4), refit=True)),
    ]
    return [job for job in rows if not tables or job.table in tables]


def _patterns(*patterns: Pattern) -> Iterator[Job]:
    """Every method at these sparsities; n:m is no matter of the whole model."""
    for pattern in patterns:
        for kind in (Magnitude, Wanda, SparseGPT):
            yield Job("patterns", kind(pattern))
        if isinstance(pattern, float):
            yield Job("patterns", None, share=pattern)


def _draws(seed: int) -> Iterator[Job]:
    """What another draw of the calibration windows does."""
    for kind in (Wanda, SparseGPT):
        for pattern in (0.5, (2, 4)):
            yield Job("draws", kind(pattern), seed=seed)


@lru_cache(maxsize=1)
def _model() -> tuple[nn.Module, Any]:
    return load_model()


@lru_cache(maxsize=1)
def moments(seed: int) -> dict[str, Hessian]:
    """H of every linear layer's inputs in the dense model, of one draw."""
    model, tokenizer = _model()
    layers = linear_layers(model)
    found = {}
    for name, layer in layers.items():
        parent, _, last = name.rpartition(".")
        shared = f"{parent}.{SHARED.get(last, last)}"
        found[name] = found.get(shared) or Hessian(layer.in_features)
    receivers = {n: h.add for n, h in found.items() if n.split(".")[-1] not in SHARED}
    windows = calibration_windows(tokenizer, count=WINDOWS, seed=seed)
    stream_inputs(model, windows, receivers)
    return found


def measure(job: Job, tokens: int) -> dict[str, Any]:
    """Prune, and measure."""
    model, tokenizer = _model()
    row = {"key": job.key, "table": job.table, "method": job.name, "seed": job.seed}
    method = job.method
    if job.share is not None:
        layers = linear_layers(model)
        weights = {name: layer.weight.detach() for name, layer in layers.items()}
        method = global_magnitude(weights, job.share, dtype="float32")
        row["settings"] = {"pattern": job.share}
    elif method is not None:
        row["settings"] = asdict(method)
    seen = moments(job.seed) if method is not None and method.calibrated else {}
    total = {"weights": 0, "zeros": 0, "bits": 0.0}

    def prune(name: str, w: Tensor) -> Tensor:
        if method is None:
            return w
        found = method.at(name).quantize(w, seen.get(name))
        w = found.dequantize()
        total["weights"] += w.numel()
        total["zeros"] += int((w == 0).sum())
        total["bits"] += found.bits_per_weight * w.numel()
        return w

    began = time.process_time()
    with mapped_weights(model, prune):
        if method is not None:
            row["pruning_processor_seconds"] = time.process_time() - began
            row["zeros"] = total["zeros"] / total["weights"]
            row["bits_per_weight"] = total["bits"] / total["weights"]
        texts = ["hamlet", "python_docs"] if row_on_both(job) else ["hamlet"]
        for text in texts:
            protocol = EvaluationProtocol(text, tokens=tokens)
            value = perplexity(model, protocol.windows(tokenizer))
            row[text] = value if math.isfinite(value) else None
    return row


def row_on_both(job: Job) -> bool:
    """Whether the row is measured on Python's help too: 50 % and 2:4, by layer."""
    pattern = getattr(job.method, "pattern", None)
    dense = job.method is None and job.share is None
    return job.table == "patterns" and (dense or pattern in (0.5, (2, 4)))


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Which rows, and how much of each text."""
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--tokens", type=int, default=2048)


def todo(run: Run, options: argparse.Namespace) -> Iterator[tuple[Job, dict | None]]:
    """Every job, with its row where this commit and command measured it already."""
    path, known = run.folder / f"{run.name}.json", {}
    if path.is_file():
        old = json.loads(path.read_text())
        if (old["commit"], old["command"]) == (run.commit, run.command):
            known = {row["key"]: row for row in old["results"]["rows"]}
    return ((job, known.get(job.key)) for job in jobs(*options.tables))


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure the rows that are not there, and record each."""
    texts = (EvaluationProtocol(t, options.tokens) for t in ("hamlet", "python_docs"))
    protocol = "; ".join(map(str, texts))
    rows = []
    for job, row in progress(list(todo(run, options)), "rows"):
        rows.append(row or measure(job, options.tokens))
        record(run, {"rows": rows}, protocol=protocol, device=processor_name())
    return True
