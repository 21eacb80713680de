"""Minitron in small: neurons cut from the net of characters.py, mended, trained on.

    python -m lib.bench retraining         # four minutes of a core

Three quarters of both hidden layers go: 512 → 128, 256 → 64. One row a seed, in nats a
character: `cut` by importance, at random, and refitted by least squares; `trained`
for so many steps: by distillation alone, labels alone, or both halves, from the cut
net, from the refitted one, and from random weights of the same shape, whose budget is
also given three times and that of the whole first training. Every way is trained at
every rate of RATES: a list of as many numbers.

Read in order: `activations`, `cut`, `distilling`, `measure`, `main`.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lib.bench.pruning.characters import CONTEXT, Weights, logits, nats, start, texts
from lib.bench.pruning.characters import train as train_on
from lib.bench.record import Run, processor_name, record
from lib.distill.losses import divergence
from lib.progress import progress
from lib.prune.structured.importance import Importance, kept_of
from lib.prune.structured.refit import refit_columns

FIRST, MORE = 1500, 300  # steps of the first training, and after the cut
WIDTHS = (48, 128, 64, 64)
WATCHED = 8192  # places of the training plays that say which neurons matter
RATES = (1e-3, 2e-3)  # the first training has the second
SEEDS = 5

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def activations(net: Weights) -> tuple[Tensor, Tensor]:
    """What w2 and w3 read, at places spread over the training plays."""
    text = texts()[0]
    at = torch.linspace(0, len(text) - CONTEXT - 1, WATCHED).long()[:, None]
    h = net["embedding"][text[at + torch.arange(CONTEXT)]].flatten(1)
    first = (h @ net["w1"].T + net["b1"]).relu()
    return first, (first @ net["w2"].T + net["b2"]).relu()


def cut(net: Weights, kept: list[Tensor], *, refit: bool = False) -> dict[str, Tensor]:
    """The net of these neurons; refitted, each reader is fitted to its whole input."""
    new = dict(net)
    moments = [(x.T @ x).double() for x in activations(net)] if refit else []
    for i, index in enumerate(kept, 1):
        new[f"w{i}"], new[f"b{i}"] = new[f"w{i}"][index], new[f"b{i}"][index]
        reader = f"w{i + 1}"
        if refit:
            h = moments[i - 1]
            new[reader] = refit_columns(new[reader], index, h, toward="weights")
        else:
            new[reader] = new[reader][:, index]
    return new


def distilling(teacher: Weights, share: float = 1.0) -> Loss:
    """This much of KL to the teacher's distribution, the rest of labels."""

    def loss(guess: Tensor, window: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            soft = logits(teacher, window)
        total = share * divergence(guess, soft).mean()
        return total + (1 - share) * cross_entropy(guess, labels)

    return loss


def measure(seed: int) -> dict:
    """All numbers of one seed."""
    whole = train_on(start(seed), steps=FIRST, seed=seed)
    scores = []
    for x in activations(whole):
        importance = Importance(x.shape[1])
        importance.add(x[:, None])  # each place is a sequence of one token
        scores.append(importance.score)
    kept = [kept_of(s, n) for s, n in zip(scores, WIDTHS[1:], strict=False)]
    draw = torch.Generator().manual_seed(seed)
    chance = [torch.rand(len(s), generator=draw) for s in scores]
    random = [kept_of(s, n) for s, n in zip(chance, WIDTHS[1:], strict=False)]
    starts = {
        "cut": cut(whole, kept),
        "refitted": cut(whole, kept, refit=True),
        "random neurons": cut(whole, random),
        "random neurons, refitted": cut(whole, random, refit=True),
        "scratch": start(1000 + seed, WIDTHS),
    }
    losses = {"distillation": distilling(whole), "both": distilling(whole, 0.5)}
    ways = {
        f"{name}, {way}": (starts[name], MORE, losses.get(way))
        for name in ("cut", "refitted", "scratch")
        for way in ("labels", "distillation", "both")
    }
    for times in (3, FIRST // MORE):
        ways[f"scratch, labels, {times} times"] = starts["scratch"], times * MORE, None

    def trained(net: Weights, steps: int, loss: Loss | None, rate: float) -> float:
        again = {"seed": 100 + seed, "rate": rate}
        return nats(train_on(net, steps=steps, loss=loss, **again))

    return {
        "seed": seed,
        "whole": nats(whole),
        "cut": {name: nats(net) for name, net in starts.items()},
        "trained": {
            way: [trained(*setting, rate) for rate in RATES]
            for way, setting in ways.items()
        },
    }


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many seeds."""
    parser.add_argument("--seeds", type=int, default=SEEDS)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure every seed, and record."""
    rows = []
    protocol = (
        f"{FIRST} steps of the whole net, {MORE} after the cut, of 128 windows of the "
        "calibration plays; nats a character on 8,192 places of The Tempest"
    )
    for seed in progress(range(options.seeds), "seeds"):
        rows.append(measure(seed))
        found = {"rates": RATES, "rows": rows}
        record(run, found, protocol=protocol, device=processor_name())
    return True
