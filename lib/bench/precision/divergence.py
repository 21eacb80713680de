"""How many seeds diverge, by precision and learning rate: small GPTs, all at once.

    python -m lib.bench divergence          # on an H100: a minute a rate
    python -m lib.bench weights             # a core: ten minutes

`divergence`: GPTs with their norms after the sum, no warm-up, no clipping, and rates
that are too high: a run falls to the letters' frequencies, and leaves them sooner,
later, or not while it lasts. A seed has the same start and the same batches in every
arm, so that arms can be compared seed by seed. `fp32 nudged` starts 2^-20
of each weight away from `fp32`: it shows how far the *set* of diverging seeds hangs on
nothing at all.

    bf16    torch.autocast: products in bf16; norms, the loss and weights in fp32
    fp8     the blocks' linear layers by lib.train.precision.fp8, the rest as in bf16

`weights`: smaller nets, norms before, a warm-up, and rates that one would use; products
as in `bf16`, the weights kept in fp32, in bf16 rounded to nearest, or in bf16 rounded
stochastically, without masters.

A row has, for each seed, the mean training loss of the last steps and the least such
mean on the way; NaN and infinity are written as null. `diverged` says which runs are
lost: ends lie in two heaps, one about `FREQUENCIES`.

Read in order: `ARMS`, `Job`, `train`, `spans`, `diverged`, `main`.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import AdamW

from lib.bench.precision.gpt import (
    Linear,
    Net,
    Shape,
    batches,
    held_out,
    letter_losses,
    plain,
    start,
)
from lib.bench.pruning.characters import texts
from lib.bench.record import Run, record
from lib.formats import BF16
from lib.train.precision.fp8 import by_tensor
from lib.train.precision.matmul import linear
from lib.train.precision.mixed_precision import round_after

SPAN = 20  # steps of a mean
FREQUENCIES = 3.30  # nats: entropy of the letters of the text, each by itself
LEARNED = 3.0  # nats: who ends above it has learned next to nothing
CURVES, EVERY = 16, 10  # seeds whose whole course is kept, and how densely
FP8 = by_tensor()


def in_fp8(x: Tensor, w: Tensor) -> Tensor:
    """The three products by FP8; autocast keeps out of them."""
    with torch.autocast(x.device.type, enabled=False):
        return linear(x.float(), w, FP8)


@dataclass(frozen=True)
class Arm:
    """What is rounded: products by autocast, linear layers, the start, the weights."""

    autocast: bool = False
    linear: Linear = plain
    nudge: float = 0.0
    weights: str | None = None  # None is fp32, else how they are rounded to bf16


ARMS = {
    "fp32": Arm(),
    "fp32 nudged": Arm(nudge=2.0**-20),
    "bf16": Arm(autocast=True),
    "fp8": Arm(autocast=True, linear=in_fp8),
}
KEPT = {
    "fp32 masters": Arm(autocast=True),
    "bf16, nearest": Arm(autocast=True, weights="nearest"),
    "bf16, stochastic": Arm(autocast=True, weights="stochastic"),
}
TABLES = {"divergence": ARMS, "weights": KEPT}
RATES = {
    "divergence": (0.004, 0.002, 0.008, 0.001),
    "weights": (3e-3, 3e-4),
}


@dataclass(frozen=True)
class Job:
    """So many seeds of an arm at a rate."""

    arm: str
    rate: float
    shape: Shape
    seeds: Sequence[int]
    steps: int
    batch: int = 8
    warmup: int = 1
    device: str = "cpu"


def train(job: Job, arm: Arm) -> tuple[Float[Tensor, "steps seeds"], Net]:
    """The training loss of every step and seed, and the nets."""
    net = {name: w.to(job.device) for name, w in start(job.shape, job.seeds).items()}
    if arm.nudge:
        net = _nudged(net, arm.nudge)
    for w in net.values():
        w.requires_grad_()
    optimizer = AdamW(net.values(), lr=job.rate, betas=(0.9, 0.999), weight_decay=0.1)
    if arm.weights is not None:
        draw = torch.Generator(job.device).manual_seed(0)
        round_after(optimizer, BF16, rounding=arm.weights, generator=draw)
    text = texts()[0].to(job.device)
    at = batches(job.seeds, job.shape, steps=job.steps, batch=job.batch).to(job.device)
    run = torch.arange(job.shape.window + 1, device=job.device)
    losses = []
    for step in range(job.steps):
        for group in optimizer.param_groups:
            group["lr"] = job.rate * min(1.0, (step + 1) / job.warmup)
        with torch.autocast(job.device, torch.bfloat16, enabled=arm.autocast):
            loss = letter_losses(
                net, text[at[:, step, :, None] + run], job.shape, arm.linear
            )
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses).cpu(), {name: w.detach() for name, w in net.items()}


def _nudged(net: Net, by: float) -> Net:
    """Every weight times 1 + by · ε, ε normal."""
    draw = torch.Generator().manual_seed(1)
    return {
        name: w * (1 + by * torch.randn(w.shape, generator=draw).to(w.device))
        for name, w in net.items()
    }


def spans(losses: Float[Tensor, "steps seeds"]) -> tuple[Tensor, Tensor]:
    """Of each seed: the mean of the last `SPAN` steps, and the least such mean."""
    span = min(SPAN, len(losses))
    means = losses.unfold(0, span, 1).mean(-1)
    return means[-1], means.nan_to_num(torch.inf, torch.inf).amin(0)


def diverged(end: float | None) -> bool:
    """Whether a run ended beyond all numbers, or knows little but frequencies."""
    return end is None or end > LEARNED


@torch.no_grad()
def measured(job: Job, net: Net) -> Float[Tensor, " seeds"]:
    """Nats a letter of *The Tempest*, in fp32."""
    runs = held_out(job.shape, 64).to(job.device)
    runs = runs.expand(len(job.seeds), *runs.shape)
    parts = [letter_losses(net, part, job.shape) for part in runs.split(16, 1)]
    return torch.stack(parts).mean(0).cpu()


def row(job: Job, arm: Arm) -> dict:
    """All numbers of a job."""
    began = time.perf_counter()
    losses, net = train(job, arm)
    end, best = spans(losses)
    curves = losses[:, :CURVES].unfold(0, EVERY, EVERY).mean(-1)
    return {
        "arm": job.arm,
        "rate": job.rate,
        "seeds": list(job.seeds),
        "end": finite(end),
        "best": finite(best),
        "test": finite(measured(job, net)),
        "curves": [finite(seed) for seed in curves.T],
        "seconds": round(time.perf_counter() - began, 1),
    }


def finite(numbers: Tensor) -> list[float | None]:
    """Four digits behind the point; None for what is no number."""
    return [round(x, 4) if abs(x) < 1e30 else None for x in numbers.tolist()]


SIZES = {
    "divergence": {"seeds": 128, "steps": 400, "width": 64, "blocks": 6, "window": 64},
    "weights": {"seeds": 8, "steps": 400, "width": 32, "blocks": 2, "window": 32},
}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many seeds and steps, how large a net, which rates and arms."""
    for size, default in SIZES[name].items():
        parser.add_argument(f"--{size}", type=int, default=default)
    arms = TABLES[name]
    parser.add_argument("--rates", type=float, nargs="+", default=RATES[name])
    parser.add_argument("--arms", nargs="+", choices=arms, default=[*arms])


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Train every arm at every rate, print and record after each."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    risky = name == "divergence"
    shape = Shape(options.width, options.blocks, 4, options.window, after=risky)
    job = Job("", 0.0, shape, range(options.seeds), options.steps, device=device)
    job = job if risky else replace(job, warmup=20)
    protocol = (
        f"{job.shape}, next letter of the calibration plays, {job.steps} steps of "
        f"{job.batch} runs, AdamW β = 0.9, 0.999, decay 0.1, warm-up {job.warmup}, no "
        f"clipping; `end` is the mean of the last {SPAN} training losses, `best` the "
        "least such mean, `test` nats a letter of The Tempest in fp32"
    )
    rows = []
    for rate in options.rates:
        for arm in options.arms:
            one = replace(job, arm=arm, rate=rate)
            rows.append(row(one, TABLES[name][arm]))
            record(run, {"span": SPAN, "rows": rows}, protocol=protocol)
            print(line(rows[-1]), flush=True)
    return True


def line(one: dict) -> str:
    """How a row is printed."""
    gone = sum(map(diverged, one["end"]))
    ends = sorted(e for e in one["end"] if e is not None) or [float("nan")]
    return (
        f"{one['arm']:16} rate {one['rate']:<7g} {gone:3} of {len(one['end'])}; "
        f"end {ends[0]:.2f} … {ends[len(ends) // 2]:.2f} … {ends[-1]:.2f}; "
        f"{one['seconds']:.0f} s"
    )
