"""Few bits by training, on the net of lib/bench/pruning/characters.py, over seeds.

    python -m lib.bench characters_aware      # five minutes of a core

One row a seed, nats a character on *The Tempest*. `float`: the whole net; `float_more`:
trained on as long as the others are, the control. `nearest`: rounded after training.
`trained`: float weights that learn for as long with rounded products, on grids that
stay (`fixed`) or learn (`learned`); ternary ones have none. `scratch`: rounded from the
first step, in one training of as many steps as both have; `float_scratch` is its
control. The two inner matrices are rounded, the output layer and the embedding are not;
all see the same batches.

Read in order: `Form`, `nearest`, `measure`, `main`.
"""

import argparse
from dataclasses import dataclass

from torch import Tensor

from lib.bench.pruning.characters import PRUNED, Weights, logits, nats, start, train
from lib.bench.record import Run, processor_name, record
from lib.progress import progress
from lib.quant.aware.lsq import lsq
from lib.quant.aware.ste import round_ste
from lib.quant.aware.ternary import ternarize
from lib.quant.uniform.grouped import fit_groups

STEPS, MORE = 1500, 750  # of the first training, and of the second
RATE, RATE_MORE = 6e-3, 2e-3
GROUPS = {"w1": 48, "w2": 64}
FORMS = ((2, "2 bits"), (None, "ternary"))
SEEDS = 5


@dataclass(frozen=True)
class Form:
    """How the inner matrices are seen: on grids of `bits`, or ternary for None."""

    bits: int | None

    def grids(self, net: Weights) -> dict[str, Tensor]:
        """ρ = log s and z of each group: round-to-nearest with searched clipping."""
        found = {}
        for name in PRUNED if self.bits else ():
            grid = fit_groups(
                net[name], bits=self.bits, group=GROUPS[name], candidates=16
            )
            found |= {f"{name}.rho": grid.scale.log(), f"{name}.zero": grid.zero + 0.0}
        return found

    def seen(self, net: Weights, grids: Weights) -> Weights:
        """`net` with rounded matrices; gradients reach weights and grids."""
        rounded = {}
        for name in PRUNED:
            if self.bits is None:
                rounded[name] = ternarize(net[name])
                continue
            high = 2**self.bits - 1
            scale, zero = grids[f"{name}.rho"].exp(), grids[f"{name}.zero"]
            zero = round_ste(zero.clamp(0, high))
            rounded[name] = lsq(net[name], scale, zero, 0, high)
        return {**net, **rounded}


def nearest(net: Weights, bits: int | None) -> Weights:
    """The net, rounded after its training."""
    form = Form(bits)
    return form.seen(net, form.grids(net))


def train_rounded(
    net: Weights, bits: int | None, *, learned: bool, steps: int, seed: int, rate: float
) -> Weights:
    """Train on with rounded products; what comes back is what the products saw."""
    form = Form(bits)
    grids = form.grids(net)
    begin = {**net, **grids} if learned else net

    def forward(net: Weights, x: Tensor) -> Tensor:
        return logits(form.seen(net, net if learned else grids), x)

    after = train(begin, steps=steps, seed=seed, rate=rate, forward=forward)
    return form.seen(after, after if learned else grids)


def measure(seed: int, steps: int = STEPS, more: int = MORE) -> dict:
    """All numbers of one seed."""
    first = start(seed)
    whole = train(first, steps=steps, seed=seed, rate=RATE)
    again = {"steps": more, "seed": 100 + seed, "rate": RATE_MORE}
    longer = train(whole, **again)
    budget = {"steps": steps + more, "seed": seed, "rate": RATE}
    scratch = train(first, **budget)
    row = {
        "seed": seed,
        "float": nats(whole),
        "float_more": nats(longer),
        "float_scratch": nats(scratch),
    }
    for bits, name in FORMS:
        row[name] = {
            "nearest": nats(nearest(whole, bits)),
            "nearest_more": nats(nearest(longer, bits)),
        }
        for learned in (False, True) if bits else (False,):
            kind = ("learned" if learned else "fixed") if bits else "trained"
            row[name][kind] = nats(train_rounded(whole, bits, learned=learned, **again))
    for bits, name in FORMS:
        begun = train_rounded(first, bits, learned=bool(bits), **budget)
        row[name]["scratch"] = nats(begun)
    return row


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many seeds."""
    parser.add_argument("--seeds", type=int, default=SEEDS)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure each seed, and record after each."""
    rows = []
    protocol = (
        f"{STEPS} steps at {RATE:g}, then {MORE} at {RATE_MORE:g}, or from scratch "
        f"{STEPS + MORE} at {RATE:g}; 128 windows of the calibration plays a step; "
        "groups of 48 and 64; nats a character on 8,192 places of The Tempest"
    )
    for seed in progress(range(options.seeds), "seeds"):
        rows.append(measure(seed))
        print(rows[-1], flush=True)
        record(run, {"rows": rows}, protocol=protocol, device=processor_name())
    return True
