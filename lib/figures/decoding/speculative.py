"""Figures of speculative decoding: passes, overlaps, powers, lengths, costs, trades.

Each function draws one figure and returns it. Read in order: `passes_of_a_text`,
`overlap`, `power_curves`, `tokens_by_length`, `drafts_by_kind`, `lines`,
`quality_against_cost`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, YELLOW

COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, YELLOW)
FATE = {  # of a token
    "accepted": (SKY, "drafted, and accepted"),
    "refused": (ORANGE, "drafted, and refused"),
    "untested": ("#DDDDDD", "behind a refusal: not tested"),
    "extra": (GREEN, "the target's own"),
}


def passes_of_a_text(passes: Sequence[tuple[Sequence[str], int, str]]) -> Figure:
    """A row for each pass: what was drafted, how much of it stayed, what was added.

    The target's token stands where it is written, below a refused one.
    """
    wide = max(len(drafted) for drafted, _, _ in passes) + 1
    figure, ax = plt.subplots(figsize=(7.6, 0.62 * len(passes) + 0.9))
    for row, (drafted, accepted, extra) in enumerate(passes):
        for place, token in enumerate(drafted):
            fate = "accepted" if place < accepted else "untested"
            fate = "refused" if place == accepted else fate
            token_box(ax, float(place), float(row), token, fate)
        token_box(ax, float(accepted), row + 0.45, extra, "extra")
    for colour, label in FATE.values():
        ax.add_patch(Rectangle((-9, -9), 0, 0, facecolor=colour, label=label))
    ax.set(xlim=(-0.05, wide), ylim=(len(passes), -0.1), yticks=[])
    ax.set_yticks(np.arange(len(passes)) + 0.45, range(1, len(passes) + 1))
    ax.set_xticks(np.arange(wide) + 0.5, range(1, wide + 1))
    ax.tick_params(length=0)
    ax.set(xlabel="place in the pass", ylabel="pass of the target")
    ax.grid(visible=False)
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    return figure


def token_box(ax: plt.Axes, left: float, top: float, text: str, fate: str) -> None:
    """One token as a coloured field."""
    field = Rectangle(
        (left + 0.03, top), 0.94, 0.4, facecolor=FATE[fate][0], edgecolor="white"
    )
    ax.add_patch(field)
    colour = "white" if fate in ("extra", "refused") else INK
    ax.text(
        *(left + 0.5, top + 0.2, text),
        **{"color": colour, "ha": "center", "va": "center", "fontsize": 8},
    )


def overlap(p: Sequence[float], q: Sequence[float]) -> Figure:
    """p and q as bars: what both share, what must be refused, what is missing."""
    p, q = np.asarray(p), np.asarray(q)
    both, token = np.minimum(p, q), np.arange(len(p))
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.0), sharey=True)
    titles = ("Draft: what q draws", "Target: what p wants")
    rests = ((q - p, ORANGE, "too much: refused"), (p - q, GREEN, "missing: drawn"))
    for ax, title, (rest, colour, label) in zip(axes, titles, rests, strict=True):
        ax.bar(token, both, color=SKY, label="min(p, q)")
        ax.bar(token, rest.clip(0), bottom=both, color=colour, label=label)
        ax.set_title(title)
        ax.set_xticks(token, [f"token {t}" for t in token])
        ax.set_ylim(0, 1.35 * max(p.max(), q.max()))
        ax.legend(loc="upper right", fontsize=8)
    axes[0].set_ylabel("probability")
    return figure


def power_curves(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Figure:
    """The share of samples in which the test sees a mistake, against their size."""
    figure, ax = plt.subplots(figsize=(7.4, 3.4))
    by_name = {row["rule"]: row for row in rows}
    for name, colour in zip(names, (*COLOURS, INK), strict=False):
        powers = by_name[name]["power"]
        sizes = [int(size) for size in powers]
        ax.semilogx(sizes, list(powers.values()), "o-", color=colour, label=name, ms=4)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    ax.set(xlabel="texts in the sample", ylabel="share of samples refused")
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def tokens_by_length(
    measured: Mapping[str, tuple[float, Mapping[int, float]]],
    expected: Mapping[str, Sequence[float]],
) -> Figure:
    """Tokens a pass against the draft's length: measured points, expected lines.

    `measured` is α and tokens by length; `expected` are tokens at the same lengths.
    """
    figure, ax = plt.subplots(figsize=(7.4, 3.6))
    for (name, (alpha, tokens)), colour in zip(measured.items(), COLOURS, strict=False):
        lengths = list(tokens)
        ax.plot(lengths, expected[name], color=colour, lw=1)
        label = f"{name}, α = {alpha:.2f}"
        ax.plot(lengths, list(tokens.values()), "o", color=colour, label=label, ms=5)
    ax.plot([], [], color=GREY, lw=1, label="(1 − α^(γ+1)) / (1 − α)")
    ax.set(xlabel="tokens drafted a pass, γ", ylabel="tokens a target pass")
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def drafts_by_kind(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], length: int
) -> Figure:
    """Tokens a pass of each draft on each kind of text: in all, and before a loop."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    figure, axes = plt.subplots(1, len(kinds), figsize=(8.2, 3.0), sharey=True)
    for ax, kind in zip(np.atleast_1d(axes), kinds, strict=True):
        found = {row["draft"]: row for row in rows if row["kind"] == kind}
        for place, name in enumerate(names):
            ends = [
                found[name][part][str(length)]["tokens_a_pass"]
                for part in ("before_loop", "all")
            ]
            ax.plot(ends, [place, place], color=GREY, lw=1)
            ax.plot(ends[0], place, "o", color=BLUE, ms=7)
            ax.plot(ends[1], place, "o", mfc="white", mec=ORANGE, ms=7)
        ax.set(xlim=(1, length + 1), ylim=(len(names) - 0.5, -0.5), title=kind)
        ax.set_yticks(range(len(names)), names)
        ax.set_xlabel("tokens a pass")
    ax.plot([], [], "o", color=BLUE, label="before the text loops")
    ax.plot([], [], "o", mfc="white", mec=ORANGE, label="all of the text")
    figure.legend(loc="outside upper right", ncols=2, fontsize=8)
    return figure


def lines(
    curves: Mapping[str, Mapping[int, float]],
    *,
    x: str,
    y: str,
    log: bool = False,
    best: bool = False,
    level: float | None = None,
) -> Figure:
    """One line a curve, each a table from x to y; `best` marks the highest point."""
    figure, ax = plt.subplots(figsize=(7.4, 3.3))
    for (name, curve), colour in zip(curves.items(), (*COLOURS, INK), strict=False):
        places, heights = list(curve), list(curve.values())
        ax.plot(places, heights, "o-", color=colour, label=name, ms=4)
        if best:
            top = int(np.argmax(heights))
            ax.plot(places[top], heights[top], "*", color=colour, ms=13)
    if log:
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
    if level is not None:
        ax.axhline(level, color=GREY, lw=1, ls="--")
    ax.set(xlabel=x, ylabel=y)
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def quality_against_cost(
    cost: Sequence[float],
    quality: Sequence[float],
    marked: Mapping[str, tuple[float, float]],
    *,
    y: str,
) -> Figure:
    """A cascade's curve; the line between its ends, which is a coin's; and points."""
    figure, ax = plt.subplots(figsize=(7.0, 3.4))
    ax.plot(cost, quality, color=BLUE, label="cascade, every threshold")
    ends = ([cost[0], cost[-1]], [quality[0], quality[-1]])
    ax.plot(*ends, "--", color=GREY, label="the same by a coin")
    for (name, (x, height)), colour in zip(marked.items(), COLOURS[1:], strict=False):
        ax.plot(x, height, "o", color=colour, ms=8, label=name)
    ax.set(xlabel="cost of an input, the large model's = 1", ylabel=y)
    figure.legend(loc="outside right upper", fontsize=8)
    return figure
