"""Codes of many numbers: their error, E8's shape, a path, bits against perplexity."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, YELLOW

PALETTE = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY)
TICKS = (20, 30, 40, 60, 100, 200, 500, 1000)


def distortion_ladder(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw each code's mean squared error over D(R) = 4^−R, against bits.

    A row has `code`, `bits` and `mse`, of each seed; 1 is Shannon's limit.
    """
    figure, ax = plt.subplots(figsize=(7.2, 3.4))
    codes = defaultdict(list)
    for row in rows:
        mean = sum(row["mse"]) / len(row["mse"])
        codes[row["code"]].append((row["bits"], mean * 4 ** row["bits"]))
    for (name, points), colour, marker in zip(
        codes.items(), PALETTE, "os^DP*", strict=False
    ):
        bits, excess = zip(*sorted(points), strict=True)
        ax.plot(bits, excess, marker=marker, color=colour, label=name)
    ax.axhline(1, color=INK, ls="--", lw=1)
    ax.text(4, 0.96, "D(R): no code is below", fontsize=8, ha="right", va="top")
    ax.set_ylim(bottom=0.8)
    ax.set(xlabel="bits a number", ylabel="error / D(R)", xticks=[1, 2, 3, 4])
    ax.legend(fontsize=8)
    return figure


def coxeter_plane(roots: Float[Tensor, "n 8"]) -> Float[Tensor, "n 2"]:
    """Where vectors lie in the plane that E8's longest cycle of reflections turns.

    The product of the eight simple reflections has order 30; in the plane of its
    eigenvalues exp(±2πi/30) it is a turn by 12 degrees.
    """
    simple = torch.zeros(8, 8, dtype=torch.float64)
    for i in range(6):
        simple[i, i], simple[i, i + 1] = 1, -1
    simple[6, 5], simple[6, 6] = 1, 1
    simple[7] = -0.5
    turn = torch.eye(8, dtype=torch.float64)
    for root in simple:  # a reflection: x − 2 (x·r) r / (r·r), and r·r = 2
        turn = turn - torch.outer(root, root @ turn)
    values, vectors = torch.linalg.eig(turn)
    angle = 2 * torch.pi / 30
    chosen = vectors[:, (values.angle() - angle).abs().argmin()]
    basis = torch.linalg.qr(torch.stack([chosen.real, chosen.imag], 1)).Q
    return roots.double() @ basis


def e8_roots(roots: Float[Tensor, "240 8"]) -> Figure:
    """Draw E8's shortest vectors, projected, with lines between the nearest ones."""
    flat, length = coxeter_plane(roots), roots.double().square().sum(1)
    inner = roots.double() @ roots.double().T
    figure, ax = plt.subplots(figsize=(3.2, 3.1))
    near = (inner == length[0] / 2).triu().nonzero()
    ends = flat[near]  # (edges, 2, 2)
    ax.plot(ends[..., 0].T, ends[..., 1].T, color=GREY, lw=0.1, alpha=0.35)
    ax.scatter(flat[:, 0], flat[:, 1], s=6, color=BLUE, zorder=3)
    ax.set_aspect("equal")
    ax.axis("off")
    return figure


def trellis_path(
    levels: Float[Tensor, " states"],
    weights: Float[Tensor, " length"],
    states: Int[Tensor, " length"],
    *,
    bits: int,
) -> Figure:
    """Draw every branch of a small trellis, the path taken, and what it makes.

    Above, states by time; below, the weights and the levels of the path.
    """
    count, length = len(levels), len(weights)
    figure, (ax, below) = plt.subplots(
        2, 1, figsize=(7.2, 5.0), sharex=True, height_ratios=(2, 1)
    )
    state = torch.arange(count)
    after = (state[:, None] << bits) % count + torch.arange(2**bits)
    for t in range(length - 1):
        for s in state.tolist():
            for to in after[s].tolist():
                ax.plot([t, t + 1], [s, to], color=GREY, lw=0.3, alpha=0.6)
    ax.plot(range(length), states, color=ORANGE, marker="o", lw=2)
    ax.set(ylabel="state", yticks=range(0, count, max(1, count // 8)))
    below.plot(range(length), weights, "o", color=BLUE, label="weight")
    below.plot(range(length), levels[states], "_", color=ORANGE, ms=14, mew=3)
    below.plot([], [], "_", color=ORANGE, ms=10, mew=3, label="level of the path")
    below.hlines(levels, -0.5, length - 0.5, color=GREY, lw=0.2)
    below.set(xlabel="weight by weight", ylabel="value")
    below.legend(fontsize=8, ncols=2, loc="upper right")
    for part in (ax, below):
        part.grid(False)
    return figure


def bits_and_perplexity(
    rows: Sequence[Mapping[str, Any]], *, baseline: float, text: str
) -> Figure:
    """Draw perplexity on `text` against all bits a weight: hollow before tuning."""
    figure, ax = plt.subplots(figsize=(7.2, 3.4))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    colours = dict(zip(methods, PALETTE, strict=False))
    for row in rows:
        colour, tuned = colours[row["method"]], row["tuned"] != "no"
        ax.plot(
            row["bits_per_weight"],
            row[text],
            marker="^" if "codes" in row["tuned"] else "o",
            ms=8,
            color=colour,
            mfc=colour if tuned else "white",
            ls="",
        )
    for method, colour in colours.items():
        ax.plot([], [], "o", color=colour, label=method)
    if any(row["tuned"] != "no" for row in rows):
        ax.plot([], [], "o", color=INK, mfc="white", label="as coded")
        ax.plot([], [], "o", color=INK, label="constants tuned")
    ax.axhline(baseline, color=GREY, ls="--", lw=1, label="float32")
    ax.set(xlabel="bits a weight, all counted", ylabel="perplexity", yscale="log")
    top = 1.1 * max(row[text] for row in rows)
    ticks = [t for t in TICKS if 0.9 * baseline <= t <= top]
    ax.set_yticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.legend(fontsize=8, ncols=2)
    return figure
