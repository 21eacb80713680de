"""SmolLM2 at two bits: GPTQ, E8P, the trellis and additive codes, tuned and not.

    python -m lib.bench two_bits --device cuda --workers 5
    python -m lib.bench two_bits --blocks 1 --windows 4 --steps 10      # a trial

Every row quantizes all linear layers but the head, with all bits counted, and is
measured on *Hamlet*, held out, and on Python's help. A trial cuts the model after
`blocks` blocks: its perplexities say nothing. With `tuned` a row's constants and norms
are then trained block by block on the windows that calibrated it (lib/train/blocks);
with `codes` the additive codes move as well.

Read in order: `methods`, `measure`, `main`.
"""

import argparse
import copy
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.multiprocessing as multiprocessing
from torch import nn

from lib.bench.record import Run, device_name, processor_name, record
from lib.data.text import calibration_windows
from lib.layers.packed import PackedLinear
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.load import load_model
from lib.models.packed_file import dense
from lib.models.quantize import quantize_model
from lib.progress import progress
from lib.quant.additive.aqlm import AQLM
from lib.quant.lattices.coded import quip_sharp
from lib.quant.method import Method
from lib.quant.rotations.incoherence import Incoherence
from lib.quant.serialize import deserialize
from lib.quant.solvers.gptq import GPTQ
from lib.quant.solvers.trellis_ldlq import TrellisLDLQ
from lib.train.blocks.blockwise import BlockRecipe, tune_blocks

TEXTS = {
    "hamlet": EvaluationProtocol(),
    "python_docs": EvaluationProtocol("python_docs"),
}
WINDOW = 512
CODE_STEPS = 6


@dataclass(frozen=True)
class Job:
    """One method and one seed: a row as it is, and one or two of it tuned."""

    name: str
    method: Method
    seed: int


def methods(seeds: tuple[int, ...], state_bits: int) -> Iterator[Job]:
    """Every method, of each seed that it draws by."""
    for seed in seeds:
        trellis = Incoherence(TrellisLDLQ(state_bits), seed=seed)
        yield Job(f"trellis L = {state_bits}", trellis, seed)
        yield Job("additive 2 x 8", AQLM(seed=seed), seed)
        yield Job("E8P", quip_sharp(2, seed=seed), seed)
        if seed == seeds[0]:
            best = GPTQ(2, 64, act_order=True, static_groups=True, candidates=16)
            yield Job("GPTQ, best", best, seed)


def measure(job: Job, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of a job: quantized; tuned; tuned with codes, where codes can move."""
    teacher, tokenizer = load_model()
    teacher = teacher.to(options.device).requires_grad_(False)
    if options.blocks:
        teacher.base_model.layers = teacher.base_model.layers[: options.blocks]
    windows = calibration_windows(
        tokenizer, count=options.windows, window=WINDOW, seed=0
    ).to(options.device)
    plain = copy.deepcopy(teacher)
    began = time.perf_counter()
    report = quantize_model(plain, job.method, windows)
    error = sum(r.error for r in report.layers.values()) / len(report.layers)
    row = {"method": job.name, "settings": repr(job.method), "seed": job.seed}
    row |= {"mean_layer_error": error}
    rows = [row | {"tuned": "no"} | _outcome(plain, tokenizer, began, options.device)]
    ways = {"constants": 0}
    if isinstance(job.method, AQLM):
        ways["constants and codes"] = CODE_STEPS
    for way, code_steps in ways.items():
        tuned, began = copy.deepcopy(plain), time.perf_counter()
        recipe = BlockRecipe(
            steps=options.steps, lr=options.lr, code_steps=code_steps, seed=job.seed
        )
        losses = tune_blocks(tuned, teacher, windows, recipe)
        rows.append(
            row
            | {"tuned": way, "block_losses": losses}
            | _outcome(tuned, tokenizer, began, options.device)
        )
    return rows


def _outcome(
    model: nn.Module, tokenizer: Any, began: float, device: str
) -> dict[str, Any]:
    """Bits a weight and seconds, then perplexity on each text."""
    if device == "cuda":
        torch.cuda.synchronize()
    row: dict[str, Any] = {"seconds": time.perf_counter() - began}
    packed = [m for m in model.modules() if isinstance(m, PackedLinear)]
    sizes = [m.in_features * m.out_features for m in packed]
    bits = [deserialize(m.tensors(), m.metadata).bits_per_weight for m in packed]
    row["bits_per_weight"] = sum(map(math.prod, zip(bits, sizes, strict=True))) / sum(
        sizes
    )
    whole = dense(copy.deepcopy(model))
    for name, protocol in TEXTS.items():
        value = perplexity(whole, protocol.windows(tokenizer).to(device), batch=2)
        row[name] = value if math.isfinite(value) else None  # JSON has no infinity
    return row


def _baseline(options: argparse.Namespace) -> dict[str, Any]:
    """The float model's row, cut as the others are."""
    model, tokenizer = load_model()
    if options.blocks:
        model.base_model.layers = model.base_model.layers[: options.blocks]
    model = model.to(options.device)
    row: dict[str, Any] = {"method": "float32", "tuned": "no", "bits_per_weight": 32.0}
    for name, protocol in TEXTS.items():
        windows = protocol.windows(tokenizer).to(options.device)
        row[name] = perplexity(model, windows, batch=2)
    return row


def _work(pair: tuple[Job, argparse.Namespace]) -> list[dict[str, Any]]:
    """A job's rows; a method that refuses says why in one."""
    torch.set_num_threads(1)
    job, options = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no kernel takes these kinds
        try:
            return measure(job, options)
        except Exception as error:  # one row's failure is its own
            return [{"method": job.name, "seed": job.seed, "failed": repr(error)[:400]}]


def _rows(todo: list[Job], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows, as they are there."""
    yield _baseline(options)
    pairs = [(job, options) for job in todo]
    if options.workers < 2:
        for pair in pairs:
            yield from _work(pair)
        return
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        for rows in pool.imap_unordered(_work, pairs):
            yield from rows


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Where, how much of the model, and how long the tuning lasts."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--blocks", type=int, default=0, help="0: all of them")
    parser.add_argument("--windows", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--state-bits", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--methods", nargs="+", help="the first word of their names")


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure the rows and record each; whether no method refused."""
    todo = list(methods(tuple(options.seeds), options.state_bits))
    if options.methods:
        todo = [job for job in todo if job.name.startswith(tuple(options.methods))]
    protocol = "; ".join(map(str, TEXTS.values())) + (
        f"; calibrated and tuned on {options.windows} windows of {WINDOW} tokens of "
        f"other plays; {options.steps} steps of Adam a block"
    )
    device = device_name() if options.device == "cuda" else processor_name()
    rows = []
    for row in progress(_rows(todo, options), "rows"):
        rows.append(row)
        record(run, {"rows": rows}, protocol=protocol, device=device)
    return not any("failed" in row for row in rows)
