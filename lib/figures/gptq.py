"""Lecture 06's drawings: a valley on a lattice, errors that cancel, a table seen."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, YELLOW
from lib.quant.hessian import inverse_factor
from lib.quant.solvers.gptq import cancel_errors
from lib.quant.uniform.grid import Grid

METHOD_COLOURS = {
    "RoundToNearest": GREY,
    "NormalFloat": PINK,
    "AWQ": YELLOW,
    "GPTQ": BLUE,
    "SpQR": GREEN,
}
METHOD_NAMES = {"RoundToNearest": "round to nearest", "NormalFloat": "NF4"}


def valley(
    w: Float[Tensor, "2"],
    hessian: Float[Tensor, "2 2"],
    paths: Mapping[str, Sequence[Float[Tensor, "2"]]],
) -> Figure:
    """The error's level lines around two weights, the integer lattice, and paths.

    A path is a list of points; its arrows lead from the weights through them, and its
    dot stands at the last one.
    """
    figure, ax = plt.subplots(figsize=(5.2, 4.2))
    reach = torch.linspace(-1.4, 1.4, 200)
    dx, dy = torch.meshgrid(reach, reach, indexing="xy")
    delta = torch.stack([dx, dy], -1)
    error = torch.einsum("...i,ij,...j->...", delta, hessian.float(), delta)
    levels = [error.max().item() * f for f in (0.005, 0.02, 0.05, 0.12, 0.25, 0.5)]
    x, y = w[0].item() + reach, w[1].item() + reach
    ax.contour(
        x.numpy(), y.numpy(), error.numpy(), levels=levels, colors=SKY, linewidths=0.9
    )
    low, high = (w - 1.4).ceil().int().tolist(), (w + 1.4).floor().int().tolist()
    for i in range(low[0], high[0] + 1):
        ax.scatter([i] * (high[1] - low[1] + 1), range(low[1], high[1] + 1), 14, INK)
    ax.plot(*w.tolist(), "*", color=ORANGE, markersize=13, label="the weights")
    for (name, path), colour in zip(paths.items(), (GREY, BLUE, GREEN), strict=False):
        for start, end in itertools.pairwise([w, *path]):
            ax.annotate(
                "",
                xy=end.tolist(),
                xytext=start.tolist(),
                arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.8},
            )
        ax.plot(*path[-1].tolist(), "o", color=colour, markersize=8, label=name)
    ax.set(xlabel="$w_1$", ylabel="$w_2$", aspect="equal")
    ax.grid(False)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def frames_of(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    grid: Grid,
    stops: Sequence[int],
    *,
    compensate: bool = True,
) -> tuple[list[Float[Tensor, "rows cols"]], Float[Tensor, " cols"]]:
    """W − W₀ when `stops` columns are rounded, and the output error after each column.

    `grid` has one group: the same levels for compensated and plain rounding.
    """
    columns = w.shape[1]
    factor = inverse_factor(hessian).to(w.dtype)
    if not compensate:
        factor = torch.diag(factor.diagonal())
    left, kept, curve = w.T.contiguous(), {}, []
    s, z = grid.scale[:, 0], grid.zero[:, 0]
    h = hessian.to(w.dtype)

    def look(done: int) -> None:
        delta = left.T - w
        if done in stops:
            kept[done] = delta.clone()
        if done:
            curve.append(((delta @ h) * delta).sum())

    def nearest(j: int, rest: Tensor) -> Tensor:
        look(j)
        q = ((rest[0] / s).round() + z).clamp(grid.low, grid.high)
        return s * (q - z)

    cancel_errors(left, factor, nearest, block=columns)
    look(columns)
    return [kept[stop] for stop in stops], torch.stack(curve)


def cancelling(
    frames: Sequence[Float[Tensor, "rows cols"]],
    stops: Sequence[int],
    compensated: Float[Tensor, " cols"],
    plain: Float[Tensor, " cols"],
) -> Figure:
    """A strip of frames, W − W₀ by colour, over the two courses of the output error."""
    figure = plt.figure(figsize=(8.4, 4.9))
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.0, 1.15])
    axes = top.subplots(1, len(frames), sharey=True)
    limit = max(frame.abs().quantile(0.995).item() for frame in frames)
    for ax, frame, stop in zip(axes, frames, stops, strict=True):
        image = ax.imshow(
            frame[:64].numpy(),
            cmap=plt.get_cmap("RdBu", 9),
            vmin=-limit,
            vmax=limit,
            aspect="auto",
            interpolation="nearest",
        )
        ax.axvline(stop - 0.5, color=INK, lw=1.2)
        ax.set(title=f"{stop} rounded", xticks=[], yticks=[])
        ax.grid(False)
    axes[0].set_ylabel("64 of the rows")
    top.colorbar(image, ax=axes, label="weight − original", shrink=0.9)
    ax = bottom.subplots()
    ax.plot(plain.numpy(), color=GREY, label="rounding alone")
    ax.plot(compensated.numpy(), color=BLUE, label="rounding, then cancelling")
    ax.set(xlabel="columns rounded", ylabel="output error", ylim=(0, None))
    ax.legend()
    return figure


def second_moment(h: Float[Tensor, "cols cols"], largest: int = 48) -> Figure:
    """How much each of a layer's inputs moves, and how the largest move together."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.4))
    order = h.diagonal().argsort(descending=True)
    left.semilogy(h.diagonal()[order].numpy(), color=BLUE)
    left.set(title="size of inputs, sorted", xlabel="feature", ylabel="$H_{jj}$")
    top = h[order[:largest]][:, order[:largest]]
    size = top.diagonal().clamp(min=1e-30).sqrt()
    image = right.imshow(
        (top / size / size[:, None]).numpy(), cmap="RdBu", vmin=-1, vmax=1
    )
    right.set(title=f"correlation of the {largest} largest", xticks=[], yticks=[])
    right.grid(False)
    figure.colorbar(image, ax=right, shrink=0.85)
    return figure


def bars(values: Mapping[str, float], label: str) -> Figure:
    """One horizontal bar a name, with its number."""
    figure, ax = plt.subplots(figsize=(7.0, 0.5 + 0.36 * len(values)))
    drawn = ax.barh(list(values), list(values.values()), color=BLUE, height=0.6)
    ax.bar_label(drawn, fmt="%.4f", padding=3)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set(xlabel=label, xlim=(0, 1.18 * max(values.values())))
    return figure


def travelling(courses: Mapping[str, Sequence[float]]) -> Figure:
    """Relative error of the residual stream that enters each block, as each is named.

    Dashed: where the name says "without".
    """
    figure, ax = plt.subplots(figsize=(7.4, 3.4))
    colours = (GREY, ORANGE, BLUE, GREEN)
    for (name, course), colour in zip(courses.items(), colours, strict=False):
        dash = "--" if "without" in name else "-"
        ax.plot(range(1, len(course)), course[1:], dash, color=colour, label=name)
    ax.set(xlabel="entering block", ylabel=r"$\|h-\hat h\|^2/\|h\|^2$", yscale="log")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def against_bits(
    rows: Sequence[Mapping[str, Any]], text: str, *, ceiling: float, title: str
) -> Figure:
    """Perplexity against bits a weight; pale: rows that another of the method beats.

    Full dots, joined: a method's rows that none of its own beats in both.
    """
    figure, ax = plt.subplots(figsize=(7.6, 4.2))
    whole = next(row[text] for row in rows if row["method"] == "float32")
    ax.axhline(whole, color=INK, lw=1, ls=":", label=f"float32: {whole:.1f}")
    for method, colour in METHOD_COLOURS.items():
        points = sorted(
            (row["bits_per_weight"], row[text])
            for row in rows
            if row["method"] == method and (row[text] or math.inf) < ceiling
        )
        if not points:
            continue
        name, front = METHOD_NAMES.get(method, method), _front(points)
        ax.scatter(*zip(*points, strict=True), 12, color=colour, alpha=0.35)
        ax.plot(*zip(*front, strict=True), "o-", color=colour, lw=1.6, ms=5, label=name)
    ax.set(xlabel="bits a weight, everything counted", ylabel="perplexity")
    ax.set(yscale="log", title=title, xlim=(2, 5.5))
    ticks = [
        t for t in (15, 20, 30, 40, 60, 100, 200, 400) if whole * 0.9 < t < ceiling
    ]
    ax.set_yticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.legend(loc="upper right")
    return figure


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both bits and perplexity, by bits."""
    front: list[tuple[float, float]] = []
    for bits, value in points:
        if not front or value < front[-1][1]:
            front.append((bits, value))
    return front


def sensitivities(
    s: Float[Tensor, "rows cols"], kept: Float[Tensor, "rows cols"]
) -> Figure:
    """Where rounding costs most, and which weights SpQR keeps."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(8.0, 4.2), sharex=True)
    for values, colour, label in (
        (s.amax(0), ORANGE, "the dearest weight"),
        (s.median(0).values, BLUE, "the median one"),
    ):
        top.semilogy(values.clamp(min=1e-12).numpy(), color=colour, lw=0.8, label=label)
    top.set(title="sensitivity $s_{ij}$ by column", ylabel="$s_{ij}$")
    top.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    bottom.bar(range(s.shape[1]), kept.sum(0).numpy(), width=1.0, color=INK)
    bottom.set(title=f"kept in fp16: {kept.mean():.1%} of the weights")
    bottom.set(xlabel="column", ylabel=f"of {len(kept)} rows")
    return figure
