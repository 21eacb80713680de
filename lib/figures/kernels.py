"""Figures of kernels: where codes lie, how long a product takes, which wall it meets.

Each function draws one figure and returns it. Read in order: `word_of_planes`,
`bytes_of_tiles`, `times_against_tokens`, `roofline_of_rows`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK

Rows = Sequence[Mapping[str, Any]]  # of lib/bench/results/int4.json
COLOURS = (BLUE, ORANGE, GREEN, PINK)
BASELINES = {
    "cublas": ("cuBLAS, fp16", INK),
    "tinygemm": ("tinygemm, int4", ORANGE),
    "marlin": ("Marlin, int4", GREEN),
    "gemlite": ("gemlite, int4", PINK),
}


def word_of_planes(columns: np.ndarray) -> Figure:
    """Which column's code stands where: two codes a byte, and four planes a word.

    `columns` is (planes, length): the column at each place of each plane.
    """
    figure, axes = plt.subplots(2, 1, figsize=(7.4, 3.3))
    for place in range(4):
        for half in range(2):
            number = 2 * place + half
            box(axes[0], 8 * place + 4 * (1 - half), 4, str(number), COLOURS[half])
    axes[0].set_title("Two codes a byte: neighbours share a byte")
    for place in range(2):
        for plane in range(4):
            left = 16 * place + 4 * (3 - plane)
            box(axes[1], left, 4, str(columns[plane, place]), COLOURS[plane])
    axes[1].set_title("Four planes a word: neighbours share a place")
    for ax in axes:
        ax.set(xlim=(-0.2, 32.2), ylim=(0, 1), xticks=[], yticks=[])
        ax.grid(visible=False)
        ax.spines[["left", "bottom"]].set_visible(False)
    for ax, unit, bits in ((axes[0], "byte", 8), (axes[1], "word", 16)):
        for first in range(0, 32, bits):
            ax.text(first + bits / 2, 0.0, f"{unit} {first // bits}", ha="center")
            ax.vlines([first, first + bits], 0.0, 1.0, color=INK, lw=1.5)
    axes[1].set_xlabel(
        "numbers: the column whose code stands there; a colour a shift; high bits left"
    )
    return figure


def box(ax: plt.Axes, left: int, width: int, text: str, colour: str) -> None:
    """A labelled field of bits."""
    ax.add_patch(
        Rectangle((left, 0.15), width, 0.7, facecolor=colour, edgecolor="white", lw=2)
    )
    ax.text(left + width / 2, 0.5, text, color="white", ha="center", va="center")


def bytes_of_tiles(
    tall: Sequence[int], traffic: Mapping[str, Sequence[float]]
) -> Figure:
    """Megabytes that a product asks memory for, against the rows of a program."""
    figure, ax = plt.subplots(figsize=(7.0, 3.0))
    for (label, values), colour in zip(traffic.items(), COLOURS, strict=False):
        ax.loglog(tall, values, "o-", color=colour, label=label)
    ax.set_xticks(tall, [str(rows) for rows in tall])
    ax.minorticks_off()
    ax.set(xlabel="rows of Ŵ that one program makes", ylabel="MB asked for")
    ax.set_title("Every program reads x again")
    ax.legend()
    return figure


def times_against_tokens(rows: Rows, size: int, bandwidth: float) -> Figure:
    """Microseconds of a square product against the tokens: ours, baselines, the floor.

    `bandwidth` in bytes a microsecond.
    """
    figure, ax = plt.subplots(figsize=(7.4, 3.7))
    rows = [row for row in rows if row["n"] == row["k"] == size and row["ours"]]
    tokens = [row["m"] for row in rows]
    ax.loglog(tokens, [r["ours"] for r in rows], "o-", color=BLUE, label="ours, int4")
    for baseline, (label, colour) in BASELINES.items():
        times = [row["baselines"].get(baseline) for row in rows]
        known = [
            (m, t) for m, t in zip(tokens, times, strict=True) if isinstance(t, float)
        ]
        ax.loglog(*zip(*known, strict=True), "s--", color=colour, label=label, ms=4)
    floor = [row["nbytes"] / bandwidth for row in rows]
    ax.loglog(tokens, floor, color=GREY, lw=1, label="bytes over bandwidth")
    ax.set_xticks(tokens, [str(m) for m in tokens])
    ax.minorticks_off()
    ax.set(xlabel="tokens at once, M", ylabel="µs")
    ax.set_title(f"One product, {size} x {size}")
    ax.legend()
    return figure


def roofline_of_rows(rows: Rows, bandwidth: float, peak: float) -> Figure:
    """Each measured product as a point: operations a byte, operations a second.

    `bandwidth` in bytes a microsecond, `peak` in operations a second.
    """
    figure, ax = plt.subplots(figsize=(7.4, 4.0))
    intensity = np.geomspace(1, 3000, 100)
    reach = np.minimum(intensity * bandwidth * 1e6, peak) / 1e12
    ax.loglog(intensity, reach, color=GREY, lw=2, label="what the machine can do")
    sizes = sorted({row["n"] for row in rows})
    for who, (label, colour) in {"ours": ("ours, int4", BLUE), **BASELINES}.items():
        for size, marker in zip(sizes, "so^", strict=False):
            points = []
            for row in rows:
                time = row["ours"] if who == "ours" else row["baselines"].get(who)
                if row["n"] != size or not isinstance(time, float):
                    continue
                operations = 2 * row["m"] * row["n"] * row["k"]
                # cuBLAS reads 16 bits a weight; it is asked for more bytes
                nbytes = row["nbytes"] if who != "cublas" else 2 * size * size
                points.append((operations / nbytes, operations / time / 1e6))
            if points:
                x, y = zip(*points, strict=True)
                ax.loglog(x, y, marker, color=colour, label=label, ms=5)
            label = None  # a colour each; a marker a size
    for size, marker in zip(sizes, "so^", strict=False):
        ax.plot([], [], marker, color=GREY, label=f"{size} x {size}", ms=5)
    ax.set(xlabel="operations a byte that must move", ylabel="T operations/s")
    ax.set_title("Points below the line wait for something else")
    ax.legend(fontsize=8)
    return figure
