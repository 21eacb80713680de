"""Which mistakes in speculative sampling a χ² test sees, and after how many texts.

    python -m lib.bench speculative_power        # under a minute

Each mistake is a `Rule`; its law is exact, and the power of the test is the share of
2,000 drawn samples that it refuses at a level of 1e-6. Four tokens, two drafted, three
looked at; the tables turn with the token before, so that a wrong row shows. Three
changes are no mistakes: their law is the target's. One of them wastes passes, and only
counting passes tells. And one mistake is there that these tables hardly show: no table
shows all. Taught in notebooks/15.
Read in order: `TABLES`, `SLIPS`, `FAINT`, `HARMLESS`, `measure`.
"""

import argparse
from typing import Any

import torch
from torch import Tensor

from lib.bench.record import Run, processor_name, record
from lib.decode.law import LOSSLESS, Rule, law, power, ratio, target_law

P = torch.tensor([0.40, 0.35, 0.25, 0.0], dtype=torch.float64)
Q = torch.tensor([0.10, 0.60, 0.0, 0.30], dtype=torch.float64)
FIRST, DRAFTED = 0, 2
RUNS = (50, 100, 200, 400, 800, 1600)
POWER = 0.99


def turned(row: Tensor) -> Tensor:
    """The table whose row for a token is `row`, rotated by that token."""
    return torch.stack([row.roll(before) for before in range(len(row))])


TABLES = turned(P), turned(Q)


def without(p: Tensor, token: int) -> Tensor:
    """p without one token."""
    return p * (torch.arange(len(p)) != token)


def sharper(row: Tensor) -> Tensor:
    """A distribution at a temperature of 1/2."""
    return row**2 / (row**2).sum()


def flatter(row: Tensor) -> Tensor:
    """A distribution at a temperature of 2."""
    return row.sqrt() / row.sqrt().sum()


def uncut(p: Tensor) -> Tensor:
    """What p may have been before top-k: the tokens of probability 0 had a tenth."""
    cut = p == 0
    return 0.9 * p + 0.1 * cut / cut.sum()


def best(row: Tensor) -> Tensor:
    """All on the likeliest token."""
    return torch.nn.functional.one_hot(row.argmax(), len(row)).double()


def inverse(p: Tensor, q: Tensor, token: int) -> float:
    """q / p in the place of p / q."""
    return ratio(q, p, token)


SLIPS = {
    "the ratio upside down": Rule(accept=inverse),
    "every draft accepted": Rule(accept=lambda p, q, x: 1.0),
    "accepted where p ≥ q": Rule(accept=lambda p, q, x: float(p[x] >= q[x])),
    "one u for all places": Rule(one_u=True),
    "refused: drawn from p": Rule(refused=lambda p, q, x: p),
    "refused: p without the token": Rule(refused=lambda p, q, x: without(p, x)),
    "refused: |p − q|": Rule(refused=lambda p, q, x: (p - q).abs()),
    "compared with a draw from p, then drawn again": Rule(
        accept=lambda p, q, x: float(p[x]), refused=lambda p, q, x: p
    ),
    "extra: from q": Rule(extra=lambda p, q: q[-1]),
    "extra: the likeliest": Rule(extra=lambda p, q: best(p[-1])),
    "extra: from the row before": Rule(extra=lambda p, q: p[-2]),
    "a greedy draft with a soft q": Rule(drafted=best),
    "the draft's temperature not in q": Rule(drafted=sharper),
    "the target's top-k not in the ratio": Rule(
        accept=lambda p, q, x: ratio(uncut(p), q, x)
    ),
}
FAINT = {  # a mistake, and these tables hardly show it
    "the target's temperature not in the ratio": Rule(
        accept=lambda p, q, x: ratio(flatter(p), q, x)
    ),
}
HARMLESS = {
    "the lossless rule": LOSSLESS,
    "p / q without a minimum": Rule(
        accept=lambda p, q, x: float(p[x] / q[x]) if q[x] > 0 else 1.0
    ),
    "a draft at another temperature, and its q": Rule(
        drafted=sharper,
        accept=lambda p, q, x: ratio(p, sharper(q), x),
        refused=lambda p, q, x: (p - sharper(q)).clamp(min=0),
    ),
    "the extra token forgotten": Rule(extra=None),
}


def measure(rule: Rule) -> dict[str, Any]:
    """How far a rule's law is from the target's, and the test's power at each size."""
    p, q = TABLES
    want = target_law(p, first=FIRST, tokens=DRAFTED + 1)
    truth = law(rule, p, q, first=FIRST, drafted=DRAFTED)
    powers = {runs: power(truth, want, runs=runs) for runs in RUNS}
    enough = [runs for runs, share in powers.items() if share > POWER]
    return {
        "total_variation": float((truth - want).abs().sum() / 2),
        "power": {str(runs): share for runs, share in powers.items()},
        "runs_needed": enough[0] if enough else None,
    }


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """There are none: one pair of tables, every rule."""


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure every rule, and record."""
    kinds = {"slip": SLIPS, "faint": FAINT, "harmless": HARMLESS}
    rows = [
        {"rule": rule, "kind": kind} | measure(how)
        for kind, rules in kinds.items()
        for rule, how in rules.items()
    ]
    for row in rows:
        print(f"{row['rule']:46} {row['total_variation']:.4f} {row['runs_needed']}")
    results = {"p": P.tolist(), "q": Q.tolist(), "drafted": DRAFTED, "rows": rows}
    how = (
        "exact law of each rule, then 2,000 multinomial samples a size (seed 0), χ² of "
        f"{DRAFTED + 1} tokens at a level of 1e-6; needed: power above {POWER}"
    )
    print(record(run, results, protocol=how, device=processor_name()).name)
    return all(row["runs_needed"] is not None for row in rows if row["kind"] == "slip")
