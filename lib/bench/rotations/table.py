"""Perplexity of SmolLM2 in few bits: plain, folded and rotated, by both roundings.

    python -m lib.bench rotations --plans gptq4 --variants rotated   # minutes of a core
    python -m lib.bench rotations --device cuda --protocol full --seeds 3 --parts

Weights in 16 (as loaded), 4, 3 and 2 bits, to the nearest level or by GPTQ; what flows
in 16, 8 and 4 bits, and keys and values in 4 as well. `folded` is the control: a norm's
gain folded into the weights changes what a group's range is, before anything turns.
`--parts` adds the rotations one by one, with weights as loaded.

GPTQ sees inputs that are not rounded, as in QuaRot: what flows is rounded afterwards.

Read in order: common.py, `PLANS`, `PARTS`, `parts`, `main`.  Lecture 07 draws it.
"""

import argparse
from collections.abc import Iterator
from itertools import chain
from typing import Any

from lib.bench.record import Run, record
from lib.bench.rotations.common import FLOWS, VARIANTS, Setting, flow_rows, rounded
from lib.bench.rotations.common import add_options as shared_options
from lib.models.rotate.turn import (
    Rotations,
    draw_rotations,
    rotate_down,
    rotate_heads,
    rotate_keys,
    rotate_stream,
)

ALL = tuple(FLOWS)
PLANS = {  # how weights are rounded, to how many bits, and what flows then
    "gptq4": ALL,
    "gptq3": ("A16", "A4 clipped"),
    "nearest3": ("A16",),
    "nearest4": ALL,
    "gptq2": ("A16",),
    "nearest2": ("A16",),
}
PARTS = ("folded", "R1", "R1 R2", "R1 R2 R4", "R1 R2 R4 R3", "R1 by Haar, R2 R4 R3")


def parts(setting: Setting) -> Iterator[dict[str, Any]]:
    """Each rotation added to those before, under A4 and A4KV4; weights as loaded."""
    for part in PARTS:
        model = setting.variant("folded")
        kind = "orthogonal" if "Haar" in part else "hadamard"
        drawn: Rotations = draw_rotations(model, 0, kind)
        if "R1" in part:
            rotate_stream(model, drawn.stream)
        if "R2" in part:
            rotate_heads(model, drawn.heads)
        if "R4" in part:
            rotate_down(model)
        if "R3" in part:
            rotate_keys(model)
        yield from flow_rows(setting, model, ("A4", "A4KV4"), table="parts", part=part)


def table(
    setting: Setting, seeds: int, variants: list[str], plans: list[str]
) -> Iterator[dict[str, Any]]:
    """Each variant in each plan; the rotated ones by every seed."""
    todo = [(0, variant) for variant in variants]
    if "rotated" in variants:
        todo += [(seed, "rotated") for seed in range(1, seeds)]
    for seed, variant in todo:
        drawn = setting.drawn(seed) if variant == "rotated" else None
        model = setting.variant(variant, drawn)
        about = {"table": "weights", "variant": variant, "seed": seed}
        yield from flow_rows(setting, model, ALL, **about, rounding=None, bits=16)
        for plan in plans:
            kind, bits = plan[:-1], int(plan[-1])
            small, error = rounded(setting, model, kind, bits)
            about |= {"rounding": kind, "bits": bits, "mean_layer_error": error}
            yield from flow_rows(setting, small, PLANS[plan], **about)


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """The shared options, and which rows."""
    shared_options(parser, name)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[*VARIANTS])
    parser.add_argument("--plans", nargs="*", choices=tuple(PLANS), default=[*PLANS])
    parser.add_argument("--parts", action="store_true", help="each rotation alone")


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure every row, and record after each."""
    setting, rows = Setting.of(options), []
    made = table(setting, options.seeds, options.variants, options.plans)
    for row in chain(made, parts(setting) if options.parts else ()):
        rows.append(row)
        how = setting.protocol
        record(run, {"rows": rows}, protocol=how, device=setting.device)
    return True
