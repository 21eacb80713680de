"""Pruning with retraining, on the net of characters.py: what is free, and what is not.

    python -m lib.bench lottery          # six minutes of a core; goes on where it was

One row a seed. `cut` and `retrained`: nats by sparsity, after one cut, and after more
training; `dense_more` is the whole net after that training. `gradual`: the same budget,
spent on dropping a few at a time. `lottery`: the whole first training from a masked
start, with the ticket, with its mask on another start, and with a random mask.

Read in order: `measure`, `gradual`, `main`.
"""

import argparse
import json
from collections.abc import Callable

import torch

from lib.bench.pruning.characters import PRUNED, Weights, nats, start, train
from lib.bench.record import Run, processor_name, record
from lib.progress import progress
from lib.prune.lottery import rewound, shuffled, ticket
from lib.prune.magnitude import Masks, cubic, staircase

STEPS, MORE = 1500, 750  # of the first training, and of the one after the cut
AGAIN = {"rate": 1e-3}  # a lower rate after the cut
CUTS = (0.2, 0.4, 0.6, 0.8, 0.9)
LOTTERY = (0.9, 0.98)
SEEDS = 5


def gradual(
    net: Weights, schedule: Callable[[int], float], *, steps: int, seed: int
) -> dict[str, torch.Tensor]:
    """Train on while `schedule` says how much is gone."""
    masks: list[Masks] = []

    def each(step: int, parameters: dict, optimizer: torch.optim.Optimizer) -> None:
        if not masks:
            masks.append(Masks({name: parameters[name] for name in PRUNED}))
            masks[0].follow(optimizer)
        if step == 0 or schedule(step) > schedule(step - 1):
            masks[0].prune_to(schedule(step))

    return train(net, steps=steps, seed=seed, each=each, **AGAIN)


def schedules(final: float) -> dict[str, Callable[[int], float]]:
    """The slides' steps of 5 % and the cubic one; both are done after two thirds."""
    end = 2 * MORE // 3
    every = int(end / (final / 0.05))
    return {
        "staircase": lambda step: staircase(step + every, every=every, final=final),
        "cubic": lambda step: cubic(step, begin=-1, end=end, final=final),
    }


def measure(seed: int) -> dict:
    """All numbers of one seed, in nats a character."""
    first = start(seed)
    whole = train(first, steps=STEPS, seed=seed)
    again = {"steps": MORE, "seed": 100 + seed}
    row = {
        "seed": seed,
        "dense": nats(whole),
        "dense_more": nats(train(whole, **again, **AGAIN)),
        "cut": {},
        "retrained": {},
        "gradual": {},
        "lottery": {},
    }
    for sparsity in CUTS:
        kept = ticket(whole, sparsity, PRUNED)
        cut = rewound(whole, kept)
        row["cut"][str(sparsity)] = nats(cut)
        row["retrained"][str(sparsity)] = nats(train(cut, kept=kept, **again, **AGAIN))
    for final in (0.8, 0.9):
        row["gradual"][str(final)] = {
            name: nats(gradual(whole, schedule, **again))
            for name, schedule in schedules(final).items()
        }
    for sparsity in LOTTERY:
        kept = ticket(whole, sparsity, PRUNED)
        other = shuffled(kept, torch.Generator().manual_seed(seed))
        starts = {
            "ticket": (first, kept),
            "re-initialized": (start(1000 + seed), kept),
            "random mask": (first, other),
        }
        row["lottery"][str(sparsity)] = {
            name: nats(train(rewound(net, mask), steps=STEPS, seed=seed, kept=mask))
            for name, (net, mask) in starts.items()
        }
    return row


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many seeds."""
    parser.add_argument("--seeds", type=int, default=SEEDS)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure each seed that this commit has not measured yet, and record."""
    path = run.folder / f"{run.name}.json"
    rows = []
    if path.is_file() and json.loads(path.read_text())["commit"] == run.commit:
        rows = json.loads(path.read_text())["results"]["rows"]
    done = {row["seed"] for row in rows}
    protocol = (
        f"{STEPS} steps, {MORE} after the cut, of 128 windows of the calibration plays;"
        " nats a character on 8,192 places of The Tempest"
    )
    for seed in progress([s for s in range(options.seeds) if s not in done], "seeds"):
        rows.append(measure(seed))
        record(run, {"rows": rows}, protocol=protocol, device=processor_name())
    return True
