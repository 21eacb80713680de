"""Figures of number formats: bits in boxes, number lines, reach against precision.

Each function draws one figure and returns it; colours say sign, exponent, fraction.
Read in order: `bit_boxes`, `number_lines`, `reach_and_precision`, `error_curves`.
"""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.figures.theme import BLUE, EXPONENT, FRACTION, GREY, INK, ORANGE, SIGN
from lib.formats import FloatFormat, all_values, bit_string, decode, encode, round_to


def draw_bits(ax: Axes, x: float, fmt: FloatFormat, *, y: float = 0.0) -> None:
    """One row of boxes, a bit in each, from left to right as a code is written."""
    parts = [*bit_string(x, fmt).split(), ""][:3]
    colours = [
        c for p, c in zip(parts, (SIGN, EXPONENT, FRACTION), strict=True) for _ in p
    ]
    for i, (bit, colour) in enumerate(zip("".join(parts), colours, strict=True)):
        ax.add_patch(plt.Rectangle((i, y), 0.9, 0.8, color=colour, lw=0))
        ax.text(i + 0.45, y + 0.4, bit, color="white", ha="center", va="center")


def bit_boxes(x: float, formats: Sequence[FloatFormat]) -> Figure:
    """x in each of several formats: its bits, and the number that they stand for."""
    figure, ax = plt.subplots(figsize=(9.5, 0.42 * len(formats) + 0.5))
    for row, fmt in enumerate(formats):
        y = -float(row)
        draw_bits(ax, x, fmt, y=y)
        stored = round_to(torch.tensor(x, dtype=torch.float64), fmt).item()
        ax.text(-0.6, y + 0.4, fmt.name, ha="right", va="center", weight="bold")
        ax.text(fmt.bits + 0.4, y + 0.4, f"= {stored!r}", va="center")
    names = (
        (0, SIGN, "sign"),
        (2.5, EXPONENT, "exponent"),
        (7.5, FRACTION, "fraction"),
    )
    for place, colour, name in names:
        ax.text(place, 1.35, name, color=colour, weight="bold", va="center")
    widest = max(fmt.bits for fmt in formats)
    ax.set(xlim=(-5.5, max(widest, 16) + 11), ylim=(0.7 - len(formats), 1.8))
    ax.axis("off")
    return figure


def number_lines(
    formats: Sequence[FloatFormat], *, reach: float | None = None
) -> Figure:
    """Every number of each format on a line, subnormals in orange; within ±reach."""
    figure, axes = plt.subplots(
        len(formats), 1, figsize=(9.5, 0.7 * len(formats) + 0.5), squeeze=False
    )
    for ax, fmt in zip(axes[:, 0], formats, strict=True):
        values = all_values(fmt)
        limit = reach or fmt.max
        values = values[values.abs() <= limit]
        sub = values.abs() < fmt.smallest_normal
        for chosen, colour in ((values[~sub], BLUE), (values[sub], ORANGE)):
            ax.vlines(chosen.tolist(), 0, 1, color=colour, lw=1.1)
        ax.set(xlim=(-1.03 * limit, 1.03 * limit), ylim=(0, 1), yticks=[])
        ax.set_ylabel(fmt.name, rotation=0, ha="right", va="center", weight="bold")
        ax.grid(False)
        ax.spines["left"].set_visible(False)
    if reach:  # one axis for all of them
        for ax in axes[:-1, 0]:
            ax.set_xticklabels([])
    axes[-1, 0].set_xlabel("value (orange: subnormal)")
    return figure


def reach_and_precision(formats: Sequence[FloatFormat]) -> Figure:
    """Decades between smallest and largest normal number, against decimal digits."""
    figure, ax = plt.subplots(figsize=(7.5, 3.8))
    for fmt in formats:
        decades = math.log10(fmt.max) - math.log10(fmt.smallest_normal)
        digits = (1 + fmt.fraction_bits) * math.log10(2)
        tail = fmt.fraction_bits * math.log10(2)
        ax.plot([decades, decades + tail], [digits, digits], color=ORANGE, lw=2)
        ax.scatter(decades, digits, s=6 * fmt.bits + 12, color=BLUE, zorder=3)
        ax.annotate(
            fmt.name,
            (decades, digits),
            (-4 - fmt.bits / 6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
        )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="decades from the smallest normal number to the largest "
        "(orange: what subnormals add)",
        ylabel="decimal digits",
        xticks=[1, 3, 10, 30, 100, 300, 600],
        yticks=[0.5, 1, 2, 4, 8, 16],
        xlim=(0.3, 1100),
        ylim=(0.45, 24),
    )
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    return figure


def error_curves(
    formats: Sequence[FloatFormat], *, low: float = 1e-9, high: float = 1e6
) -> Figure:
    """Largest relative rounding error found in each twelfth of a decade.

    Dotted: half of the gap, over the smallest number that has this gap, 2^-(m+1).
    """
    figure, ax = plt.subplots(figsize=(8.5, 3.6))
    bins, per_bin = round(12 * math.log10(high / low)), 500
    x = torch.logspace(
        math.log10(low), math.log10(high), bins * per_bin, dtype=torch.float64
    ).reshape(bins, per_bin)
    for fmt in formats:
        y = round_to(x, fmt)
        worst = ((y - x).abs() / x).amax(1)
        worst = worst.masked_fill(~worst.isfinite(), math.nan)
        (line,) = ax.plot(x[:, per_bin // 2], worst, lw=1.1, label=fmt.name)
        bound = 2.0 ** -(fmt.fraction_bits + 1)
        ax.axhline(bound, color=line.get_color(), lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlabel="|x|", ylabel="worst |x̂ − x| / |x|")
    ax.legend(ncols=len(formats), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def draw_place(ax: Axes, x: float, stored: float, around: Sequence[float]) -> None:
    """A stretch of the number line: its numbers, x above it, and where x is stored."""
    ax.vlines(around, 0, 0.5, color=GREY, lw=1.5)
    for value, label in zip(around, tick_labels(around, stored), strict=True):
        ax.text(value, -0.15, label, ha="center", va="top", fontsize=8)
    if stored in around:
        ax.vlines([stored], 0, 0.5, color=BLUE, lw=4)
    left, right = min(around), max(around)
    place = min(max(x, left), right)
    ax.plot([place], [0.8], marker="v", color=ORANGE, ms=9)
    ax.text(place, 1.0, f"{x:.9g}", ha="center", va="bottom", color=INK)
    margin = 0.08 * (right - left)
    ax.set(xlim=(left - margin, right + margin), ylim=(-0.7, 1.6))
    ax.axhline(0, color=GREY, lw=1)
    ax.axis("off")


def tick_labels(around: Sequence[float], stored: float) -> list[str]:
    """Six digits of each number; where six cannot tell them apart, distances from x̂."""
    plain = [f"{value:.6g}" for value in around]
    if len(set(plain)) == len(plain):
        return plain
    home = stored if stored in around else around[-1 if stored > 0 else 0]
    return [f"{v:.6g}" if v == home else f"{v - home:+.3g}" for v in around]


def values_around(x: float, fmt: FloatFormat, *, count: int = 3) -> list[float]:
    """The finite numbers of `fmt` near x: x̂ and up to `count` on either side."""
    center = encode(torch.tensor(x, dtype=torch.float64), fmt, overflow="saturate")
    center, top = int(center) % 2**fmt.bits, 1 << fmt.bits - 1
    place = -(center - top) if center >= top else center  # -0 and 0 share place 0
    places = torch.arange(
        max(place - count, -fmt.max_code), min(place + count, fmt.max_code) + 1
    )
    values = decode(places.abs(), fmt)
    return torch.where(places < 0, -values, values).tolist()
