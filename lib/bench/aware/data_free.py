"""LLM-QAT on a whole model: few bits without data, beside rounding and GPTQ.

    python -m lib.bench data_free --model student --group 32     # minutes of a core
    python -m lib.bench data_free --device cuda                  # SmolLM2, on a GPU

The model writes texts for itself (some are held out), and is trained in few bits on its
own logits. Rows: round-to-nearest, GPTQ calibrated on the same texts or on plays, and
trained with learned or fixed grids, on own texts or on plays; all layers, or the MLPs
of three blocks in the middle; over seeds of the texts' order. The rate is chosen once,
by the loss on own texts that were held out. Perplexity on *Hamlet* and Python's help.

Read in order: `Job`, `jobs`, `Bench`, `main`.
"""

import argparse
import copy
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lib.bench.record import Run, record
from lib.data.text import calibration_windows
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.hooks import Arrival
from lib.models.load import load_model
from lib.models.sequential import visit_layers
from lib.models.walk import linear_layers, replace_layer, select_layers
from lib.quant.aware.ternary import BitNet158
from lib.quant.hessian import Hessian
from lib.quant.method import Method
from lib.quant.solvers.gptq import GPTQ
from lib.quant.uniform.grouped import RoundToNearest
from lib.train.aware.activations import Rounded, round_activations
from lib.train.aware.imitate import imitate, logit_loss
from lib.train.aware.layers import TERNARY, AwareLinear, Trained, make_aware
from lib.train.aware.own_text import OwnText, write_itself
from lib.train.loop import Recipe

WINDOW, BATCH, HELD_OUT = 256, 8, 16
CALIBRATION = 64  # windows for GPTQ
RATES = (1e-4, 3e-4, 1e-3)


@dataclass(frozen=True)
class Job:
    """One row: what is done to which layers, in how many bits, on which texts."""

    method: str  # "float", "nearest", "GPTQ" or "trained"
    bits: int | str | None = None
    layers: str = "all"
    texts: str | None = None
    learned: bool | None = None
    inputs: int | None = None
    cache: int | None = None
    seed: int | None = None


def jobs(seeds: int) -> list[Job]:
    """Every row: what needs no training first, then by seed."""
    low = {"inputs": 8, "cache": 4}
    rows = [Job("float")]
    for layers in ("all", "few"):
        rows.append(Job("nearest", 2, layers))
        rows += [Job("GPTQ", 2, layers, texts) for texts in ("own", "plays")]
    rows += [Job("nearest", TERNARY), Job("nearest", 4, **low)]
    rows.append(Job("GPTQ", 4, texts="own", **low))
    for seed in range(seeds):
        own = {"texts": "own", "seed": seed}
        rows += [
            Job("trained", 2, "all", learned=True, **own),
            Job("trained", 2, "all", learned=False, **own),
            Job("trained", 2, "all", "plays", True, seed=seed),
            Job("trained", 2, "few", learned=True, **own),
        ]
    first = {"texts": "own", "seed": 0}
    rows.append(Job("trained", TERNARY, **first))
    rows.append(Job("trained", 4, learned=True, **low, **first))
    return rows


class Bench:
    """A model, its texts, and how long it is trained."""

    def __init__(self, options: argparse.Namespace) -> None:
        model, self.tokenizer = load_model(options.model)
        self.model = model.to(options.device)
        self.steps, self.group = options.steps, options.group
        own = OwnText(options.texts + HELD_OUT, WINDOW, batch=options.writing)
        special = self.tokenizer.all_special_ids
        began = time.perf_counter()
        written = write_itself(self.model, own, special)
        self.writing_s = time.perf_counter() - began
        plays = calibration_windows(self.tokenizer, count=options.texts, window=WINDOW)
        self.texts = {"own": written[HELD_OUT:], "plays": plays.to(options.device)}
        self.held_out = written[:HELD_OUT]
        self.protocols = {
            text: EvaluationProtocol(text=text, tokens=options.tokens)
            for text in ("hamlet", "python_docs")
        }
        self.rate = RATES[1]

    def names(self, job: Job) -> list[str]:
        """The layers that a job changes."""
        middle = self.model.config.num_hidden_layers // 2
        few = tuple(f".layers.{middle + i}.mlp." for i in (-1, 0, 1))
        every = job.layers == "all"
        return [
            n for n in linear_layers(self.model) if every or any(f in n for f in few)
        ]

    def choose_rate(self) -> dict[float, float]:
        """Try each rate for a third of the steps; keep the best on held-out texts."""
        found = {}
        for rate in RATES:
            job = Job("trained", 2, texts="own", learned=True, seed=100)
            model, _ = self.trained(job, rate, max(self.steps // 3, 1))
            with torch.no_grad():
                found[rate] = sum(
                    logit_loss(model(ids).logits, self.model(ids).logits).item()
                    for ids in self.held_out.split(BATCH)
                ) / len(self.held_out.split(BATCH))
        self.rate = min(found, key=found.__getitem__)
        return found

    def trained(
        self, job: Job, rate: float, steps: int
    ) -> tuple[nn.Module, list[float]]:
        """A copy of the model in few bits, trained; and the loss of each step."""
        student = copy.deepcopy(self.model)
        settings = Trained(job.bits, self.group, bool(job.learned))
        make_aware(student, settings, self.names(job))
        recipe = Recipe(steps, BATCH, lr=rate, clip=1.0, seed=job.seed)
        with rounding(student, job), tensor_cores():
            losses = imitate(student, self.texts[job.texts], recipe, self.model)
        return student, losses

    def row(self, job: Job) -> dict[str, Any]:
        """What a job measures."""
        began = time.perf_counter()
        row: dict[str, Any] = asdict(job)
        if job.method == "trained":
            model, row["losses"] = self.trained(job, self.rate, self.steps)
            row["bits_per_weight"] = as_stored(model)
        else:
            model = copy.deepcopy(self.model)
            if job.method != "float":
                windows = self.texts[job.texts][:CALIBRATION] if job.texts else None
                with rounding(model, job):
                    row["bits_per_weight"] = quantize(
                        model, method(job, self.group), windows, self.names(job)
                    )
        row["seconds"] = time.perf_counter() - began
        with rounding(model, job):
            for text, protocol in self.protocols.items():
                windows = protocol.windows(self.tokenizer).to(self.held_out.device)
                row[text] = perplexity(model, windows)
        return row


def as_stored(model: nn.Module) -> float:
    """Put a linear layer of Ŵ where each aware layer is; the mean bits a weight."""
    bits = weights = 0
    aware = {n: m for n, m in model.named_modules() if isinstance(m, AwareLinear)}
    for name, layer in aware.items():
        quantized = layer.quantized()
        plain = nn.Linear(1, 1, bias=False)
        plain.weight = nn.Parameter(quantized.dequantize(), requires_grad=False)
        replace_layer(model, name, plain)
        bits += quantized.bits_per_weight * plain.weight.numel()
        weights += plain.weight.numel()
    return bits / weights


def quantize(
    model: nn.Module, method: Method, windows: Tensor | None, names: list[str]
) -> float:
    """Give these layers Ŵ, each on inputs that the ones before it made; mean bits."""
    layers = select_layers(model, names)
    bits: dict[str, float] = {}

    def give(name: str, inputs: Hessian | None) -> None:
        w = layers[name].weight.detach()
        quantized = method.quantize(w, inputs)
        bits[name] = quantized.bits_per_weight * w.numel()
        rounded = quantized.dequantize().to(w)
        layers[name].weight = nn.Parameter(rounded, requires_grad=False)

    def visit(arrival: Arrival) -> None:
        inputs = Hessian(arrival.x.shape[-1])
        inputs.add(arrival.x)
        give(arrival.name, inputs)

    if windows is None:
        for name in layers:
            give(name, None)
    else:
        visit_layers(model, layers, windows, visit, label="quantizing")
    return sum(bits.values()) / sum(m.weight.numel() for m in layers.values())


@contextmanager
def tensor_cores() -> Iterator[None]:
    """Products in TF32, for the length of a `with` block; on a CPU nothing changes."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if torch.cuda.is_available() else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def rounding(model: nn.Module, job: Job) -> AbstractContextManager:
    """Hooks for the inputs and the cache, where a job has them."""
    if job.inputs is None and job.cache is None:
        return nullcontext()
    return round_activations(model, Rounded(job.inputs, job.cache))


def method(job: Job, group: int) -> Method:
    """The settings of a row that is not trained."""
    if job.bits == TERNARY:
        return BitNet158()
    if job.method == "nearest":
        return RoundToNearest(job.bits, group, candidates=16)
    return GPTQ(job.bits, group, act_order=True, candidates=16)


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Which model, where, and how long."""
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--texts", type=int, default=1008)
    parser.add_argument("--writing", type=int, default=512, help="texts at a time")
    parser.add_argument("--group", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=4096, help="of a perplexity")


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure every row, and record after each."""
    bench = Bench(options)
    results: dict[str, Any] = {
        "writing_seconds": bench.writing_s,
        "held_out_loss_by_rate": {str(r): x for r, x in bench.choose_rate().items()},
        "rate": bench.rate,
        "samples": [bench.tokenizer.decode(ids) for ids in bench.held_out[:3]],
        "rows": [],
    }
    how = (
        f"{options.model}, groups of {options.group}; {options.texts} own texts of "
        f"{WINDOW} tokens, or as many windows of the calibration plays; "
        f"{options.steps} steps of {BATCH} windows, KL to the float model's logits, "
        f"Adam, the rate from {bench.rate:g} to 0, products of training in TF32 where "
        "there is a GPU; GPTQ with act-order and searched clipping on "
        f"{CALIBRATION} windows; perplexity in float32: "
        + "; ".join(str(p) for p in bench.protocols.values())
    )
    for job in jobs(options.seeds):
        results["rows"].append(bench.row(job))
        shown = {k: v for k, v in results["rows"][-1].items() if k != "losses"}
        print(shown, flush=True)
        record(run, results, protocol=how)
    return True
