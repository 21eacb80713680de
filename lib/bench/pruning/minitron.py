"""Minitron on SmolLM2: a third of its blocks cut away, and what training brings back.

    python -m lib.bench minitron                 # five minutes of an H100
    python -m lib.bench minitron --minutes 1     # on a CPU a trial of few steps

The same weights are given up three ways: neurons of every layer (width), whole layers
(depth), and half of each (both). Importance, influence and moments come from plays;
`down_proj` is refitted toward the weights as they were. Then each is trained on the
plays that are not held out, by soft targets alone (the whole model's) or by labels
alone, at equal rates and steps. Controls: the whole model trained by the same labels,
the width's shape from random weights, and the width's cut without its refit.

Perplexity in the domain of the training (*Hamlet*) and out of it (Python's help).

Read in order: `Shape`, `shapes`, `cut`, `Job`, `jobs`, `Bench`, `main`.
Source: Muralidharan et al. 2024, "Minitron", arXiv:2407.14679.
"""

import argparse
import copy
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from lib.bench.pruning.structured import REFIT, gone_by, readers
from lib.bench.record import Run, record
from lib.data.text import calibration_windows
from lib.distill.corpus import training_text, windows_of
from lib.distill.losses import divergence
from lib.distill.student import Schedule, train
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.hooks import stream_inputs
from lib.models.load import load_model
from lib.models.structure.gates import watch_structure
from lib.models.structure.surgery import drop_layers, keep_neurons
from lib.prune.structured.importance import kept_of
from lib.prune.structured.refit import refit_columns
from lib.quant.hessian import Hessian

PART = 3  # one block of so many is given up, or as many weights
CALIBRATION, WINDOW = 8, 512
RATES = (3e-4, 1e-3)
WARMUP = 20
TEXTS = {"hamlet": "hamlet", "help": "python_docs"}


@dataclass(frozen=True)
class Shape:
    """What stays: layers that go, and the neurons of each layer that is left."""

    layers_gone: int
    neurons: int


def shapes(model: PreTrainedModel) -> dict[str, Shape]:
    """Three ways to give up as many weights as a third of the blocks have."""
    config, blocks = model.config, model.model.layers
    count, size = len(blocks), sum(p.numel() for p in blocks[0].parameters())
    gone = max(1, count // PART)

    def shape(layers: int) -> Shape:
        """The neurons, a multiple of 8, that make up for layers which stay."""
        each = (gone - layers) * size / ((count - layers) * 3 * config.hidden_size)
        return Shape(layers, max(8, round((config.intermediate_size - each) / 8) * 8))

    return {"width": shape(0), "depth": shape(gone), "both": shape(gone // 2)}


def cut(
    model: PreTrainedModel, plays: Tensor, shape: Shape, *, refit: bool = True
) -> PreTrainedModel:
    """A copy of the model in this shape: layers first, then neurons of what is left."""
    model = copy.deepcopy(model)
    _, influence = watch_structure(model, plays)
    scores = torch.tensor([layer.score for layer in influence])
    drop_layers(model, gone_by(scores, shape.layers_gone))
    if shape.neurons == model.config.intermediate_size:
        return model
    neurons, _ = watch_structure(model, plays)
    kept = [kept_of(layer.score, shape.neurons) for layer in neurons]
    moments = {name: Hessian(model.config.intermediate_size) for name in readers(model)}
    stream_inputs(model, plays, {name: h.add for name, h in moments.items()})
    fitted = [
        refit_columns(
            model.get_submodule(name).weight, index, moments[name].matrix, **REFIT
        )
        for name, index in zip(moments, kept, strict=True)
    ]
    keep_neurons(model, kept)
    for name, w in zip(moments, fitted, strict=True) if refit else ():
        model.get_submodule(name).weight.data.copy_(w)
    return model


@dataclass(frozen=True)
class Job:
    """One row: from where, by which targets (or none), how fast, in which order."""

    start: str
    targets: str | None = None  # "soft" or "labels"
    rate: float | None = None
    seed: int = 0


def jobs(seeds: int) -> Iterator[Job]:
    """What is not trained; then every rate in a first order of the texts; then more."""
    for start in ("whole", "width", "width, no refit", "depth", "both"):
        yield Job(start)
    pairs = [(s, t) for s in ("width", "depth", "both") for t in ("soft", "labels")]
    pairs += [("whole", "labels"), ("width, no refit", "soft")]
    pairs += [("scratch", "soft"), ("scratch", "labels")]
    for seed in range(seeds):
        for start, targets in pairs:
            yield from (Job(start, targets, rate, seed) for rate in RATES)


class Bench:
    """The whole model, its cuts, the texts, and how long each is trained."""

    def __init__(self, options: argparse.Namespace) -> None:
        model, tokenizer = load_model(options.model)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.steps, self.batch = options.steps, options.batch
        plays = calibration_windows(tokenizer, count=CALIBRATION, window=WINDOW)
        self.shapes = shapes(model)
        self.starts = {"whole": copy.deepcopy(model)}
        self.starts |= {n: cut(model, plays, s) for n, s in self.shapes.items()}
        plain = cut(model, plays, self.shapes["width"], refit=False)
        self.starts["width, no refit"] = plain
        self.teacher = model.to(self.device, torch.bfloat16)
        text = {"plays": training_text()["plays"]}
        self.windows = windows_of(tokenizer, text, options.window)["plays"]
        self.held_out = {
            name: EvaluationProtocol(text, options.tokens).windows(tokenizer)
            for name, text in TEXTS.items()
        }

    def start(self, job: Job) -> PreTrainedModel:
        """A copy to train; "scratch" has the shape of the width's cut alone."""
        if job.start != "scratch":
            return copy.deepcopy(self.starts[job.start]).to(self.device)
        torch.manual_seed(job.seed)
        like = self.starts["width"]
        return type(like)(copy.deepcopy(like.config)).to(self.device)

    def loss(self, student: nn.Module, ids: Tensor, *, soft: bool) -> Tensor:
        """Nats a token from the teacher's probabilities, or from the next token's."""
        with torch.autocast(self.device, torch.bfloat16):
            logits = student(ids, use_cache=False).logits[:, :-1]
        if not soft:
            return cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())
        with torch.no_grad():
            targets = self.teacher(ids, use_cache=False).logits[:, :-1]
        return divergence(logits, targets).mean()

    def row(self, job: Job) -> dict[str, Any]:
        """Train, and measure in float32."""
        began, student = time.perf_counter(), self.start(job)
        row: dict[str, Any] = asdict(job)
        row["parameters"] = sum(p.numel() for p in student.parameters())
        if job.targets:
            schedule = Schedule(self.steps, self.batch, job.rate, WARMUP, seed=job.seed)
            student.requires_grad_(True)
            loss = partial(self.loss, soft=job.targets == "soft")
            done = train(student, loss, self.windows, schedule, every=20)
            row |= {"losses": done.losses, "tokens": self.tokens}
        student.eval().requires_grad_(False)
        for name, windows in self.held_out.items():
            row[name] = perplexity(student, windows.to(self.device))
        return row | {"seconds": time.perf_counter() - began}

    @property
    def tokens(self) -> int:
        """That one training sees."""
        return self.steps * self.batch * self.windows.shape[1]


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How long; on a CPU few steps of few tokens."""
    gpu = torch.cuda.is_available()
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--minutes", type=float, default=5.0, help="begin no row later")
    parser.add_argument("--steps", type=int, default=120 if gpu else 2)
    parser.add_argument("--batch", type=int, default=16 if gpu else 2)
    parser.add_argument("--window", type=int, default=512 if gpu else 64)
    parser.add_argument("--tokens", type=int, default=4096 if gpu else 512)
    parser.add_argument("--seeds", type=int, default=3)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Cut, train, measure, and record after each row."""
    began, bench = time.perf_counter(), Bench(options)
    how = (
        f"{options.model}; importance, influence and moments from {CALIBRATION} "
        f"calibration windows of {WINDOW}, refit with damping {REFIT['damping']:g} "
        f"toward the weights; {options.steps} steps of {options.batch} windows of "
        f"{options.window} out of {len(bench.windows)} from the plays not held out, "
        "AdamW, cosine, products in bfloat16 over float32 weights; perplexity in "
        f"float32 of the first {options.tokens} tokens of each text"
    )
    results: dict[str, Any] = {
        "shapes": {name: asdict(shape) for name, shape in bench.shapes.items()},
        "rows": [],
    }
    for job in jobs(options.seeds):
        if job.targets and time.perf_counter() - began > 60 * options.minutes:
            break
        results["rows"].append(bench.row(job))
        shown = {k: v for k, v in results["rows"][-1].items() if k != "losses"}
        print(shown, flush=True)
        record(run, results, protocol=how)
    return True
