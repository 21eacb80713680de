"""Figures of lectures 11 and 12: scores, columns that leave, curves, seeds, gates."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY

PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, INK)
MARKERS = "osD^vP"
MOST_MARKED = 12  # points of a line, above which it has no markers
ROWS, COLS = 16, 96  # of a matrix that is drawn


def _numbers(
    ax: Axes, values: Float[Tensor, "rows cols"], kept: Bool[Tensor, "rows cols"]
) -> None:
    """A matrix as numbers on squares, grey where nothing is kept."""
    ax.imshow(kept.float().numpy(), cmap="Blues", vmin=-0.1, vmax=2.5)
    for (i, j), value in zip(kept.nonzero().tolist(), values[kept], strict=True):
        ax.text(j, i, f"{value:g}", ha="center", va="center", weight="bold")
    for (i, j), value in zip((~kept).nonzero().tolist(), values[~kept], strict=True):
        ax.text(j, i, f"{value:g}", ha="center", va="center", color=GREY)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)


def two_scores(
    w: Float[Tensor, "rows cols"],
    norm: Float[Tensor, " cols"],
    by_magnitude: Bool[Tensor, "rows cols"],
    by_wanda: Bool[Tensor, "rows cols"],
) -> Figure:
    """W, and |W| ‖x‖: what magnitude and Wanda keep of them is bold on blue."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.9))
    _numbers(left, w, by_magnitude)
    _numbers(right, w.abs() * norm, by_wanda)
    left.set_title("W: magnitude, the layer")
    right.set_title(r"$|W|\cdot\|x_j\|$: Wanda, each row")
    for ax in (left, right):
        ax.set_xticks(range(len(norm)), [f"{value:g}" for value in norm])
        ax.set_xlabel(r"$\|x_j\|$ of the column")
    return figure


def columns_leaving(
    frames: Sequence[Float[Tensor, "rows cols"]], stops: Sequence[int]
) -> Figure:
    """A corner of W as pruning goes through its columns; what is 0 is white."""
    figure, axes = plt.subplots(len(frames), 1, figsize=(7, 4.6), sharex=True)
    corners = [frame[:ROWS, :COLS].numpy() for frame in frames]
    limit = frames[0].abs().quantile(0.98).item()
    for ax, corner, stop in zip(axes, corners, stops, strict=True):
        image = ax.imshow(
            corner,
            cmap="RdBu",
            vmin=-limit,
            vmax=limit,
            aspect="auto",
            interpolation="nearest",
        )
        ax.axvline(stop - 0.5, color=INK, lw=2)
        ax.set(title=f"{stop} columns done", yticks=[])
        ax.grid(False)
    axes[-1].set_xlabel("column")
    figure.colorbar(image, ax=axes, label="weight", shrink=0.8)
    return figure


def curves(
    series: Mapping[str, Mapping[float, Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    baseline: tuple[str, float] | None = None,
    log: bool = False,
    ticks: Sequence[float | int] = (),
) -> Figure:
    """Lines by name: x → the numbers measured there, as their mean and their range."""
    figure, ax = plt.subplots(figsize=(7, 3.4))
    for (name, points), colour, marker in zip(
        series.items(), PALETTE, MARKERS, strict=False
    ):
        x = sorted(points)
        mean = [sum(points[k]) / len(points[k]) for k in x]
        below = [m - min(points[k]) for k, m in zip(x, mean, strict=True)]
        above = [max(points[k]) - m for k, m in zip(x, mean, strict=True)]
        ax.errorbar(
            x,
            mean,
            (below, above),
            color=colour,
            marker=marker if len(x) <= MOST_MARKED else None,
            ms=5,
            label=name,
        )
    if baseline is not None:
        name, value = baseline
        ax.axhline(value, color=GREY, ls="--", lw=1, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    if ticks:
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def seeds(
    groups: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    ylabel: str,
    baseline: tuple[str, float] | None = None,
) -> Figure:
    """One dot a seed: a panel for each group, a column for each kind in it."""
    figure, axes = plt.subplots(
        1, len(groups), figsize=(7, 2.9), sharey=True, squeeze=False
    )
    for ax, (title, kinds) in zip(axes[0], groups.items(), strict=True):
        for place, ((_, values), colour) in enumerate(
            zip(kinds.items(), PALETTE, strict=False)
        ):
            ax.plot([place] * len(values), values, "o", color=colour, ms=5, alpha=0.7)
            mean = sum(values) / len(values)
            ax.hlines(mean, place - 0.3, place + 0.3, color=colour, lw=2)
        ax.set_xticks(range(len(kinds)), [name.replace(" ", "\n", 1) for name in kinds])
        ax.set(title=title, xlim=(-0.6, len(kinds) - 0.4))
        if baseline is not None:
            ax.axhline(baseline[1], color=GREY, ls="--", lw=1)
            right = {"x": len(kinds) - 0.45, "ha": "right", "va": "bottom"}
            ax.text(y=baseline[1], s=baseline[0], fontsize=8, color=GREY, **right)
    axes[0][0].set_ylabel(ylabel)
    return figure


def head_map(scores: Float[Tensor, "layers heads"], gone: int) -> Figure:
    """Every head's importance as a colour, a column a layer; the least are crossed."""
    figure, ax = plt.subplots(figsize=(7, 2.6))
    image = ax.imshow(scores.T.numpy(), cmap="Blues", aspect="auto", vmin=0)
    least = scores.flatten().sort(stable=True).indices[:gone]
    ax.plot(least // scores.shape[1], least % scores.shape[1], "x", color=ORANGE, ms=5)
    ax.set(xlabel="layer", ylabel="head", title=f"the {gone} heads of least importance")
    ax.grid(False)
    figure.colorbar(image, ax=ax, label=r"$E|\partial L/\partial\xi|$")
    return figure


def gate_histograms(samples: Mapping[str, Float[Tensor, " draws"]]) -> Figure:
    """Draws of each kind of gate, and the share of them that is exactly 0."""
    figure, axes = plt.subplots(1, len(samples), figsize=(7, 2.4), sharey=True)
    for ax, (name, z), colour in zip(axes, samples.items(), PALETTE, strict=False):
        ax.hist(z.numpy(), bins=40, range=(0, 1), color=colour)
        ax.set(title=f"{name}: {(z == 0).float().mean():.0%} exactly 0", xlabel="gate")
    axes[0].set_ylabel("draws")
    return figure
