"""The table of lecture 06: perplexity against bits for every post-training method.

    python -m lib.bench.ptq --device cuda --workers 12     → results/ptq_perplexity.json

Every row quantizes all linear layers of SmolLM2 but the tied head, and is measured on
two texts: *Hamlet*, held out, and Python's help topics. Bits a weight count everything
that is stored. Calibration is 32 windows of 512 tokens: from the calibration plays,
from Python's help topics behind the part that is measured, or sampled from the model.

The models' passes run on `device`; the column loops, a hundred thousand tiny steps, run
on the processor, one worker a core, where they are faster than a GPU's launches.

Read in order: `Job`, `jobs`, `measure`, `main`.
"""

import argparse
import copy
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as multiprocessing
from jaxtyping import Int
from torch import Tensor, nn

from lib.bench.record import RESULTS, record
from lib.data.text import calibration_windows, python_docs, token_windows
from lib.models.evaluate import Protocol, perplexity
from lib.models.load import load_model
from lib.models.packed_file import dense
from lib.models.quantize import Report, quantize_model
from lib.models.rescale import AWQ
from lib.progress import progress
from lib.quant.codebooks.normal_float import NormalFloat
from lib.quant.solvers.gptq import GPTQ
from lib.quant.solvers.hessian import Hessian
from lib.quant.solvers.spqr import SpQR
from lib.quant.uniform.grouped import RoundToNearest

TEXTS = {
    "hamlet": Protocol("hamlet"),
    "hamlet_longer": Protocol("hamlet", tokens=16_384),  # to see an ordering surely
    "python_docs": Protocol("python_docs"),
}
WINDOW = 512
MEASURED = 8  # windows of python_docs that are measured, and never calibrated on


@dataclass(frozen=True)
class Job:
    """One row of the table. `method` None is the unquantized model."""

    table: str  # "methods", "groups", "calibration", "count", "settings", "travel"
    method: Any
    calibration: str = "plays"
    count: int = 32
    sequential: bool = True
    seed: int = 0  # of the draw of the calibration windows


def jobs() -> list[Job]:
    """Every row, the slow ones first."""
    rows = [Job("methods", None), Job("methods", NormalFloat())]
    rows += [Job("methods", NormalFloat(double=True))]
    for bits in (8, 4, 3, 2):
        rows += [
            Job("methods", method)
            for method in (
                RoundToNearest(bits),
                AWQ(bits),
                GPTQ(bits),
                GPTQ(bits, act_order=True),
                GPTQ(bits, act_order=True, static_groups=True),
                GPTQ(bits, act_order=True, candidates=16),
            )
        ]
        rows += [
            Job("groups", GPTQ(bits, group, act_order=act_order))
            for group in (16, 32, 192)
            for act_order in (False, True)
        ]
        rows += [Job("groups", RoundToNearest(bits, group)) for group in (16, 32, 192)]
    for bits in (4, 3, 2):
        rows += [Job("methods", SpQR(bits, threshold=t)) for t in (0.1, 0.2, 0.5)]
        rows += [
            Job("methods", SpQR(bits, threshold=t, act_order=True))
            for t in (0.05, 0.1, 0.2, 0.5, 1.0, math.inf)
        ]
        rows += [
            Job("calibration", GPTQ(bits, act_order=True), calibration)
            for calibration in ("plays", "python_docs", "own_samples")
        ]
    for count in (1, 4, 16, 64, 128):
        rows += [Job("count", GPTQ(3, act_order=True), count=count)]
    rows += [Job("settings", GPTQ(3, damping=d)) for d in (1e-4, 1e-3, 0.1, 1.0)]
    rows += [
        Job("settings", GPTQ(3, act_order=True, damping=d)) for d in (1e-3, 0.1, 1.0)
    ]
    rows += [
        Job("settings", GPTQ(3, act_order=a), sequential=False) for a in (False, True)
    ]
    rows += [
        Job("settings", method, count=128)
        for method in (
            GPTQ(3, act_order=True, candidates=16),
            GPTQ(3, act_order=True, static_groups=True, candidates=16),
            GPTQ(3, act_order=True, damping=0.1, candidates=16),
        )
    ]
    rows += [
        Job("settings", method)
        for method in (
            GPTQ(3, candidates=16),
            GPTQ(3, act_order=True, static_groups=True, candidates=16),
            GPTQ(4, symmetric=True),
            GPTQ(3, symmetric=True),
        )
    ]
    rows += [
        Job("travel", method, sequential=sequential)
        for method, sequential in (
            (RoundToNearest(3), True),
            (GPTQ(3), False),
            (GPTQ(3), True),
            (GPTQ(3, act_order=True), True),
        )
    ]
    best = {"act_order": True, "static_groups": True, "candidates": 16}
    rows += [Job("best", GPTQ(bits, 64, **best)) for bits in (3, 4, 2)]
    rows += [Job("best", GPTQ(3, group, **best)) for group in (32, 16)]
    rows += [Job("best", RoundToNearest(3, candidates=16))]
    rows += [Job("best", AWQ(3, candidates=1))]
    rows += [Job("best", GPTQ(3), seed=seed) for seed in (0, 1, 2)]
    rows += [Job("best", GPTQ(3, 64, **best), seed=seed) for seed in (1, 2)]
    return sorted(rows, key=lambda job: (-job.count, not isinstance(job.method, SpQR)))


def measure(job: Job, device: str) -> dict[str, Any]:
    """Quantize, and measure both perplexities."""
    model, tokenizer = _model(device)
    row = {
        "table": job.table,
        "method": "float32",
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
            "method": type(job.method).__name__,
            "settings": _plain(asdict(job.method)),
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


class _OnProcessor:
    """A method whose layers are quantized on the processor, wherever the model is."""

    def __init__(self, method: Any) -> None:
        self.method, self.calibrated = method, method.calibrated
        if hasattr(method, "prepare"):
            self.prepare = method.prepare

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
        every = token_windows(python_docs(), tokenizer, window=WINDOW)[MEASURED:]
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


def main() -> None:
    """Measure all rows and write them; `--only` selects tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--name", default="ptq_perplexity")
    parser.add_argument("--folder", type=Path, default=RESULTS)
    args = parser.parse_args()
    todo = [job for job in jobs() if not args.only or job.table in args.only]
    protocol = "; ".join(map(str, TEXTS.values()))
    rows = []
    for row in progress(
        _rows(todo, args.device, args.workers), "rows", total=len(todo)
    ):
        rows.append(row)
        record(args.name, {"rows": rows}, protocol=protocol, folder=args.folder)


if __name__ == "__main__":
    main()
