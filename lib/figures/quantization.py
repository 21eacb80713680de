"""Drawings of lecture 03: levels on a line, ranges of activations, perplexity."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, YELLOW
from lib.quant import Grid, Histogram, quantize

COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, YELLOW)


def number_lines(w: Float[Tensor, "rows cols"], grids: Mapping[str, Grid]) -> Figure:
    """Draw each (1, 1) grid's levels, dark where w reaches; codes above the weights."""
    figure, axes = plt.subplots(
        len(grids), 1, figsize=(9, 1.7 * len(grids)), sharex=True, squeeze=False
    )
    for axis, (name, grid) in zip(axes[:, 0], grids.items(), strict=True):
        codes = torch.arange(grid.low, grid.high + 1)
        levels = (grid.scale * (codes - grid.zero)).flatten()
        half = grid.scale.item() / 2
        used = (levels >= w.min() - half) & (levels <= w.max() + half)
        axis.vlines(levels[used], 0, 0.3, color=BLUE, lw=0.6)
        axis.vlines(levels[~used], 0, 0.3, color=ORANGE, lw=0.6)
        lanes = [-torch.inf] * 3  # right end of the last label of each height
        for value, code in sorted(
            zip(w.flatten().tolist(), quantize(w, grid).flatten().tolist(), strict=True)
        ):
            lane = min((k for k in range(3) if lanes[k] < value), default=2)
            lanes[lane] = value + 1.1
            axis.plot([value] * 2, [0, 0.42 + 0.26 * lane], color=GREY, lw=0.8)
            axis.plot(value, 0, "o", color=INK, ms=3.5, clip_on=False)
            label = axis.text(value, 0.45 + 0.26 * lane, str(code), ha="center")
            label.set(fontsize=9, bbox={"fc": "white", "ec": "none", "pad": 0.5})
        wasted = (~used).sum().item()
        axis.set_title(
            f"{name}: step {2 * half:.4f}, {wasted} of {len(levels)} levels beyond w"
        )
        axis.set(ylim=(0, 1.2), yticks=[])
        axis.spines["left"].set_visible(False)
        axis.grid(False)
    axes[-1, 0].set_xlabel("weight (dots), its level (strokes) and its code (numbers)")
    return figure


def activation_ranges(
    seen: Histogram, grids: Mapping[str, Grid], *, linear: float = 1.0
) -> Figure:
    """Draw what a histogram saw, and beneath it the range that each rule keeps.

    The axis is linear from -`linear` to `linear` and logarithmic beyond.
    """
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(9, 4.2), sharex=True, height_ratios=(2, 1)
    )
    full = seen.counts > 0
    top.scatter(seen.centres[full], seen.counts[full], s=5, color=INK)
    top.set(yscale="log", ylabel="values in a bin")
    for k, grid in enumerate(grids.values()):
        ends = [
            (grid.scale * (code - grid.zero)).item() for code in (grid.low, grid.high)
        ]
        bottom.plot(ends, [-k, -k], "|-", color=COLOURS[k], lw=4, ms=14)
        bottom.annotate(
            f"step {grid.scale.item():.3g}",
            (ends[1], -k),
            (8, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    bottom.set_yticks([-k for k in range(len(grids))], list(grids))
    bottom.set(ylim=(0.6 - len(grids), 0.6), xlabel="activation")
    bottom.set_xscale("symlog", linthresh=linear)
    bottom.set_xlim(right=seen.high * 8)
    return figure


def perplexity_by_bits(
    points: Sequence[Mapping[str, Any]], baseline: float, *, ceiling: float = 400
) -> Figure:
    """Draw perplexity against the bits a weight stores, a curve for each group size.

    Points above `ceiling` are left out; the print beside the figure has them all.
    """
    figure, axis = plt.subplots(figsize=(8, 4))
    curves: dict[str, list[tuple[float, float]]] = {}
    for p in points:
        kind = "symmetric " if p["symmetric"] else "clipped " if p["clipped"] else ""
        group = f"group {p['group']}" if isinstance(p["group"], int) else p["group"]
        places = curves.setdefault(kind + group, [])
        if p["perplexity"] <= ceiling:
            places.append((p["bits_per_weight"], p["perplexity"]))
    shades = iter(plt.get_cmap("viridis")(torch.linspace(0.95, 0.1, 5).tolist()))
    for name, places in curves.items():
        odd = name.startswith(("symmetric", "clipped"))
        style, colour = ("s--", ORANGE) if odd else ("o-", next(shades, INK))
        axis.plot(*zip(*sorted(places), strict=True), style, ms=4, label=name, lw=1.4)
        axis.lines[-1].set_color(colour)
    axis.axhline(baseline, color=INK, lw=0.8, ls=":")
    axis.annotate("float32", (3, baseline), (0, -12), textcoords="offset points")
    axis.set_yscale("log")
    ticks = [t for t in (25, 30, 40, 60, 100, 200, 400) if t <= ceiling]
    axis.set_yticks(ticks, [str(t) for t in ticks])
    axis.minorticks_off()
    axis.set(xlabel="bits a weight, scales and zeros included", ylabel="perplexity")
    axis.legend(title="one grid for a", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
