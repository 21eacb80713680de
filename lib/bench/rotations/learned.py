"""Rotations that learn, beside the random ones they began as.

    python -m lib.bench rotations_learned --device cuda --protocol full --seeds 3

SpinQuant's: R1 and R2 by Cayley SGD, on the calibration plays, with inputs in 4 bits
and weights as loaded; then the weights by GPTQ. Each seed is the random rotation that
learning begins at, and its row is measured before and after on the same text.

Read in order: `main`.  Lecture 07 draws it.
"""

import argparse
from collections.abc import Iterable
from typing import Any

from lib.bench.record import Run, record
from lib.bench.rotations.common import CLIP, Setting, flow_rows, rounded
from lib.bench.rotations.common import add_options as shared_options
from lib.models.rotate.learn import learn_rotations
from lib.models.rotate.turn import Rotations

FLOWS = ("A4", "A4 clipped", "A4KV4")


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """The shared options, and how long to learn."""
    shared_options(parser, name)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=4, help="windows a step")
    parser.add_argument("--length", type=int, default=512, help="tokens of a window")
    parser.add_argument("--rate", type=float, default=1.5)
    parser.add_argument("--gptq", action="store_true", help="round weights as well")


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Learn from each seed; measure before and after; record after each row."""
    setting, rows, losses = Setting.of(options), [], {}
    text = setting.calibration[:, : options.length]
    protocol = (
        f"{setting.protocol}; {options.steps} steps of {options.batch} windows of "
        f"{options.length} tokens, clip {CLIP}, rate {options.rate} falling to 0"
    )

    def keep(found: Iterable[dict[str, Any]]) -> None:
        for row in found:
            rows.append(row)
            results = {"rows": rows, "losses": losses}
            record(run, results, protocol=protocol, device=setting.device)

    def measure(drawn: Rotations, **about: Any) -> None:
        model = setting.variant("rotated", drawn)
        keep(flow_rows(setting, model, FLOWS, **about, bits=16))
        for bits, flows in (
            ((4, ("A16", *FLOWS)), (3, ("A16",))) if options.gptq else ()
        ):
            small, _ = rounded(setting, model, "gptq", bits)
            keep(flow_rows(setting, small, flows, **about, bits=bits))

    for seed in range(options.seeds):
        start = setting.drawn(seed)
        learned, losses[str(seed)] = learn_rotations(
            setting.model,
            text,
            start,
            clip=CLIP,
            steps=options.steps,
            rate=options.rate,
            batch=options.batch,
            seed=seed,
        )
        measure(learned, rotations="learned", seed=seed)
        measure(start, rotations="random", seed=seed)
    return True
