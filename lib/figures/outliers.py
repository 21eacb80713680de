"""Figures of lecture 04: outlier features, what they do to codes, and their cures."""

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int8
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from lib.figures.theme import BLUE, GREEN, GREY, ORANGE, SKY


def activation_maps(maps: dict[str, Float[Tensor, "tokens features"]]) -> Figure:
    """Draw |x| by token and feature, one map a panel, on one logarithmic scale.

    A mark stands over the feature with the largest median.
    """
    figure, axes = plt.subplots(
        len(maps), 1, figsize=(7, 1.7 * len(maps) + 0.3), sharex=True, squeeze=False
    )
    top = max(x.abs().max().item() for x in maps.values())
    scale = LogNorm(vmin=top / 1000, vmax=top)
    colours = plt.get_cmap("magma", 9)  # three steps a decade; few colours, small file
    for ax, (title, x) in zip(axes[:, 0], maps.items(), strict=True):
        image = ax.imshow(
            x.abs().clamp(min=top / 1000).numpy(),
            norm=scale,
            aspect="auto",
            cmap=colours,
            interpolation="nearest",
        )
        ax.set(title=title, ylabel="token")
        ax.grid(False)
        feature = int(x.abs().median(0).values.argmax())  # large for every token
        ax.plot(feature, -2, "v", color=ORANGE, ms=6, clip_on=False)
    axes[-1, 0].set_xlabel("feature")
    figure.colorbar(image, ax=axes[:, 0], label="|x|", pad=0.01)
    return figure


def code_histograms(rows: dict[str, Int8[Tensor, " features"]]) -> Figure:
    """Draw how many features of one token share each int8 code, one token a panel."""
    figure, axes = plt.subplots(
        1, len(rows), figsize=(7, 2.6), sharex=True, sharey=True, squeeze=False
    )
    for ax, (title, codes) in zip(axes[0], rows.items(), strict=True):
        values, counts = codes.unique(return_counts=True)
        ax.bar(values.tolist(), counts.tolist(), width=1.6, color=BLUE)
        used = f"{len(values)} different codes"
        ax.text(0.97, 0.92, used, transform=ax.transAxes, ha="right", color=ORANGE)
        ax.set(title=title, xlabel="int8 code", yscale="log", xlim=(-131, 131))
    axes[0, 0].set_ylabel("features")
    return figure


def channel_ranges(
    sides: dict[str, tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]],
) -> Figure:
    """Draw max|X_j| and max|W_j| of each channel, sorted by the first panel's X."""
    figure, axes = plt.subplots(1, len(sides), figsize=(7, 2.8), sharey=True)
    order = next(iter(sides.values()))[0].argsort(descending=True)
    for ax, (title, (x, w)) in zip(axes, sides.items(), strict=True):
        ax.plot(x[order], ".", ms=7, color=ORANGE, label="activations, max$|X_j|$")
        ax.plot(w[order], ".", ms=3, color=BLUE, label="weights, max$|W_j|$")
        ax.set(title=title, yscale="log", xlabel="channel, sorted")
    axes[0].set_ylabel("range")
    axes[0].legend(loc="lower left", markerscale=1.5)
    return figure


def perplexity_bars(groups: dict[str, dict[str, float]], *, baseline: float) -> Figure:
    """Draw perplexity by model and method, in logarithmic bars with their numbers."""
    figure, ax = plt.subplots(figsize=(7, 3.0))
    names = list(dict.fromkeys(name for bars in groups.values() for name in bars))
    colours = dict(zip(names, [GREY, ORANGE, SKY, BLUE, GREEN], strict=False))
    left = 0.0
    centres = []
    for bars in groups.values():
        for k, (name, value) in enumerate(bars.items()):
            first = not ax.get_legend_handles_labels()[1].count(name)
            ax.bar(
                left + k,
                value,
                0.85,
                color=colours[name],
                label=name if first else None,
            )
            _label(ax, left + k, value)
        centres.append(left + (len(bars) - 1) / 2)
        left += len(bars) + 1
    ax.axhline(baseline, color=GREY, lw=1, ls="--")
    ax.set_xticks(centres, list(groups))
    ax.set(yscale="log", ylabel="perplexity", ylim=(baseline / 1.6, None))
    ax.grid(axis="x", visible=False)
    ax.legend(loc="upper right", fontsize=8)
    return figure


def _label(ax: Axes, x: float, value: float) -> None:
    text = f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
    ax.text(x, value * 1.05, text, ha="center", va="bottom", fontsize=8)


def error_by_alpha(alphas: list[float], errors: dict[str, list[float]]) -> Figure:
    """Draw a layer's relative output error against SmoothQuant's α."""
    figure, ax = plt.subplots(figsize=(7, 2.6))
    styles = ({"color": ORANGE, "lw": 6, "alpha": 0.5}, {"color": BLUE, "marker": "o"})
    for style, (name, values) in zip(styles, errors.items(), strict=False):
        ax.plot(alphas, torch.tensor(values) * 100, label=name, **style)
    ax.set(xlabel="α", ylabel="error of the output (%)", ylim=(0, None))
    ax.legend()
    return figure
