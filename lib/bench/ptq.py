"""The tables of lectures 06 and 07: perplexity against bits after training.

    python -m lib.bench ptq_perplexity --device cuda --workers 12
    python -m lib.bench ptq_best --workers 2
    python -m lib.bench ptq_vectors --device cuda --workers 15    # lecture 07
    python -m lib.bench ptq_perplexity --tables methods --methods float32   # one row

Every row quantizes all linear layers of SmolLM2 but the tied head, and is measured on
two texts: *Hamlet*, held out, and Python's help topics. Bits a weight count everything
that is stored. Calibration is 32 windows of 512 tokens: from the calibration plays,
from Python's help topics behind the part that is measured, or sampled from the model.

The models' passes run on `device`; the column loops, a hundred thousand tiny steps, run
on the processor, one worker a core, where they are faster than a GPU's launches.

Read in order: `jobs` in ptq_jobs.py, `measure`, `main`.
"""

import argparse
import copy
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from typing import Any

import torch
import torch.multiprocessing as multiprocessing
from jaxtyping import Int
from torch import Tensor, nn

from lib.bench.ptq_jobs import TABLES, Job, jobs
from lib.bench.record import Run, device_name, processor_name, record
from lib.data.text import calibration_windows, python_docs, token_windows
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.load import load_model
from lib.models.packed_file import dense
from lib.models.quantize import Report, quantize_model
from lib.progress import progress
from lib.quant.hessian import Hessian
from lib.quant.method import Method

TEXTS = {
    "hamlet_short": EvaluationProtocol("hamlet", tokens=1024),
    "hamlet": EvaluationProtocol("hamlet"),
    "hamlet_longer": EvaluationProtocol(
        "hamlet", tokens=16_384
    ),  # to see an ordering surely
    "python_docs": EvaluationProtocol("python_docs"),
}
WINDOW = 512
MEASURED_WINDOWS = 8  # of python_docs, and never calibrated on


def measure(job: Job, device: str) -> dict[str, Any]:
    """Quantize, and measure both perplexities."""
    model, tokenizer = _model(device)
    row = {
        "table": job.table,
        "method": _method_name(job),
        "calibration": job.calibration,
        "windows": job.count,
        "sequential": job.sequential,
        "seed": job.seed,
    }
    quantized = model
    if job.method is not None:
        quantized = copy.deepcopy(model)
        windows = None
        if job.method.calibrated:
            windows = _calibration(job.calibration, job.count, job.seed, device)
        began = time.perf_counter()
        report = quantize_model(
            quantized, _OnProcessor(job.method), windows, sequential=job.sequential
        )
        row |= {
            "settings": _plain(asdict(job.method)),
            "made_by": repr(job.method),  # methods within methods, by name
            "bits_per_weight": report.bits_per_weight,
            "seconds": time.perf_counter() - began,
            "mean_layer_error": _mean_error(report),
        }
        dense(quantized)
    for name, protocol in TEXTS.items():
        windows = protocol.windows(tokenizer).to(device)
        value = perplexity(quantized, windows, batch=2)
        row[name] = value if math.isfinite(value) else None  # JSON has no infinity
    if job.table == "travel":
        row["travel"] = _travel(model, quantized, windows[:2])
    return row


def _method_name(job: Job) -> str:
    """The name of the class, or float32."""
    return "float32" if job.method is None else type(job.method).__name__


@torch.inference_mode()
def _travel(model: nn.Module, other: nn.Module, windows: Tensor) -> list[float]:
    """‖h − ĥ‖² / ‖h‖² of the residual stream that enters each block."""
    states = [
        torch.stack(m(windows, output_hidden_states=True).hidden_states[:-1])
        for m in (model, other)
    ]
    lost = (states[0] - states[1]).square().sum((1, 2, 3))
    return (lost / states[0].square().sum((1, 2, 3))).tolist()


def _mean_error(report: Report) -> float | None:
    """Mean of ‖(W − Ŵ)X‖² / ‖WX‖² over the layers, where inputs were seen."""
    errors = [layer.error for layer in report.layers.values()]
    return None if None in errors else sum(errors) / len(errors)


class _OnProcessor(Method):
    """A method whose layers are quantized on the processor, wherever the model is."""

    def __init__(self, method: Method) -> None:
        self.method, self.calibrated = method, method.calibrated
        self.prepare, self.check = method.prepare, method.check

    def quantize(self, w: Tensor, inputs: Hessian | None) -> Any:
        """Move, then quantize."""
        here = None if inputs is None else inputs.to("cpu")
        return self.method.quantize(w.cpu(), here)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as JSON holds them."""
    return {k: "inf" if v == math.inf else v for k, v in settings.items()}


@cache
def _model(device: str) -> tuple[nn.Module, Any]:
    model, tokenizer = load_model()
    return model.to(device), tokenizer


@cache
def _calibration(
    source: str, count: int, seed: int, device: str
) -> Int[Tensor, "count window"]:
    """The tokens to calibrate on."""
    model, tokenizer = _model(device)
    if source == "plays":
        windows = calibration_windows(tokenizer, count=count, window=WINDOW, seed=seed)
    elif source == "python_docs":
        every = token_windows(python_docs(), tokenizer, window=WINDOW)[
            MEASURED_WINDOWS:
        ]
        draw = torch.Generator().manual_seed(seed)
        windows = every[torch.randperm(len(every), generator=draw)[:count]]
    else:
        windows = own_samples(model, count=count, device=device, seed=seed)
    return windows.to(device)


@torch.inference_mode()
def own_samples(
    model: nn.Module, *, count: int, device: str, seed: int = 0
) -> Int[Tensor, "count window"]:
    """Windows that the model writes itself, from a random first token, at T = 1."""
    draw = torch.Generator().manual_seed(seed)
    size = model.get_input_embeddings().weight.shape[0]
    ids = torch.randint(size, (count, 1), generator=draw).to(device)
    whole, cache = [ids], None
    for _ in range(WINDOW - 1):
        out = model(input_ids=ids, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        p = out.logits[:, -1].float().softmax(-1).cpu()
        ids = torch.multinomial(p, 1, generator=draw).to(device)
        whole.append(ids)
    return torch.cat(whole, 1)


def _work(pair: tuple[Job, str]) -> dict[str, Any]:
    """One row; a method that refuses says why in it."""
    torch.set_num_threads(1)
    job, device = pair
    try:
        return measure(job, device)
    except ValueError as error:
        return {"table": job.table, "method": repr(job.method), "failed": str(error)}


def _rows(todo: list[Job], device: str, workers: int) -> Iterator[dict[str, Any]]:
    """The rows, as they are finished."""
    pairs = [(job, device) for job in todo]
    if workers < 2:
        yield from map(_work, pairs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_work, pairs)


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Where the models run, and which rows of this benchmark's tables."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    known = TABLES[name]
    parser.add_argument("--tables", nargs="+", choices=known, default=known)
    methods = sorted({_method_name(job) for job in jobs(*known)})
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure the rows and record each; whether no method refused."""
    todo = [
        job for job in jobs(*options.tables) if _method_name(job) in options.methods
    ]
    protocol = "; ".join(map(str, TEXTS.values()))
    device = device_name() if options.device == "cuda" else processor_name()
    rows = []
    for row in progress(
        _rows(todo, options.device, options.workers), "rows", total=len(todo)
    ):
        rows.append(row)
        record(run, {"rows": rows}, protocol=protocol, device=device)
    return not any("failed" in row for row in rows)
