"""Training curves of a binarized net, beside the same net in float, on characters.

    python -m lib.bench binary            # five minutes of a core

    h ← norm(h Wᵀ)     h ← sign(h), or clip(h, −1, 1) in float     48 → 512 → 256 → 64

The net of lib/bench/pruning/characters.py with a batch normalization behind each
product, which a binarized net cannot do without: its sums have the size √K, and a sign
wants them around 0. All three matrices are ±1, and the inputs of all but the first.
`deterministic` takes signs; `stochastic` draws them in the inner layers while it
trains; `shifts` normalizes by powers of two. Each kind gets the best of some rates, by
its training loss after half as many steps. Statistics of a test are its own batch's.

Read in order: `forward_of`, `curve`, `choose_rate`, `main`.
"""

import argparse
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import batch_norm, cross_entropy

from lib.bench.pruning.characters import WIDTHS, Forward, Weights, nats, start, train
from lib.bench.record import Run, processor_name, record
from lib.progress import progress
from lib.quant.aware.binary import binarize, binarize_randomly, clip_weights
from lib.quant.aware.shift_norm import shift_batch_norm

KINDS = ("float", "deterministic", "stochastic", "shifts")
RATES = (1e-2, 3e-2, 1e-1, 3e-1)
STEPS, TRIAL, LAST = 2000, 1000, 100  # LAST steps of a trial are its loss
MARKS = (25, 50, 100, 200, 300, 500, 750, 1000, 1250, 1500, 1750, 2000)
SEEDS = 3


def begin(seed: int) -> dict[str, Tensor]:
    """Random parameters, with γ of each normalization; its β is the layer's b."""
    gains = {f"g{i}": torch.ones(width) for i, width in enumerate(WIDTHS[1:], 1)}
    return start(seed) | gains


def forward_of(kind: str, draw: torch.Generator | None = None) -> Forward:
    """The net of this kind; with `draw` a stochastic one draws its signs."""
    norm = shift_batch_norm if kind == "shifts" else plain_norm

    def sign(h: Tensor) -> Tensor:
        if kind == "float":
            return h.clamp(-1, 1)
        stochastic = kind == "stochastic" and draw is not None
        return binarize_randomly(h, draw) if stochastic else binarize(h)

    def forward(net: Weights, x: Tensor) -> Tensor:
        h = net["embedding"][x].flatten(1)
        for i in (1, 2, 3):
            w = net[f"w{i}"] if kind == "float" else binarize(net[f"w{i}"])
            h = norm(h @ w.T, net[f"g{i}"], net[f"b{i}"])
            h = sign(h) if i < 3 else h
        return h

    return forward


def plain_norm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """Batch normalization by the batch's own statistics."""
    return batch_norm(x, None, None, gamma, beta, training=True)


def curve(
    kind: str, seed: int, rate: float, steps: int = STEPS
) -> tuple[dict[int, float], list[float]]:
    """Nats on the test play after some numbers of steps, and each step's own loss."""
    trained = forward_of(kind, torch.Generator().manual_seed(1000 + seed))
    tested, found, losses = forward_of(kind), {}, []

    def each(step: int, net: dict[str, Tensor], _: object = None) -> None:
        if kind != "float":
            clip_weights(net[f"w{i}"] for i in (1, 2, 3))
        if step in MARKS:
            found[step] = nats(net, 2048, tested)

    def loss(guess: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        value = cross_entropy(guess, labels)
        losses.append(value.item())
        return value

    options = {"rate": rate, "forward": trained, "loss": loss, "each": each}
    net = train(begin(seed), steps=steps, seed=seed, **options)
    each(steps, net)
    return found, losses


def choose_rate(kind: str, steps: int = TRIAL) -> dict[float, float]:
    """Training loss at the end of a run of half the length, by rate."""
    ends = {rate: curve(kind, 100, rate, steps)[1][-LAST:] for rate in RATES}
    return {rate: sum(losses) / len(losses) for rate, losses in ends.items()}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many seeds, and how long."""
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--steps", type=int, default=STEPS)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Choose each kind's rate, then measure its curves; record after each."""
    kept = partial(record, run, device=processor_name())
    results: dict = {"rates": {}, "rows": []}
    for kind in KINDS:
        tried = choose_rate(kind, min(TRIAL, options.steps))
        best = min(tried, key=tried.__getitem__)
        results["rates"][kind] = {"best": best, "tried": list(map(list, tried.items()))}
    protocol = (
        f"{options.steps} steps of 128 windows of the calibration plays, the rate "
        f"falling to 0 from the best of {RATES} after {TRIAL} steps of another seed; "
        "nats a character on 2,048 places of The Tempest"
    )
    for seed in progress(range(options.seeds), "seeds"):
        for kind in KINDS:
            rate = results["rates"][kind]["best"]
            found, _ = curve(kind, seed, rate, options.steps)
            row = {"kind": kind, "seed": seed, "curve": list(map(list, found.items()))}
            results["rows"].append(row)
            print(kind, seed, rate, found, flush=True)
            kept(results, protocol=protocol)
    return True
