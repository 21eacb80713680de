"""Loud channels before and after a rotation, signs, and what rounding does then."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from jaxtyping import Float
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from lib.figures.theme import BLUE, GREEN, INK, ORANGE, PINK, SKY, YELLOW

PALETTE = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY)
FAINTEST = 1e-3  # of the largest: what is smaller has the map's last colour


def channel_maps(maps: Mapping[str, Float[Tensor, "tokens channels"]]) -> Figure:
    """Draw |x| by token and channel, one panel each, all by one logarithmic scale."""
    figure, axes = plt.subplots(
        1, len(maps), figsize=(7.2, 2.2), sharey=True, squeeze=False
    )
    top = max(x.abs().amax().item() for x in maps.values())
    scale = LogNorm(FAINTEST * top, top, clip=True)
    for ax, (title, x) in zip(axes[0], maps.items(), strict=True):
        drawn = ax.imshow(
            x.abs().clamp(min=FAINTEST * top).numpy(),
            aspect="auto",
            norm=scale,
            cmap="viridis",
        )
        ax.set(title=title, xlabel="channel")
        ax.grid(False)
    axes[0, 0].set_ylabel("token")
    figure.colorbar(drawn, ax=axes, label="|x|")
    return figure


def sign_matrices(matrices: Mapping[str, Float[Tensor, "n n"]]) -> Figure:
    """Draw matrices of ±1, a dark square for −1."""
    figure, axes = plt.subplots(1, len(matrices), figsize=(7.4, 2.8), squeeze=False)
    for ax, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        ax.imshow(
            matrix.numpy(), cmap="gray", vmin=-1.6, vmax=1, interpolation="nearest"
        )
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(False)
    return figure


def bars_by_group(
    groups: Mapping[str, Mapping[str, float]], *, ylabel: str, floor: float
) -> Figure:
    """Draw bars on a logarithmic axis from `floor`, a colour a name, by group."""
    names = list(next(iter(groups.values())))
    figure, ax = plt.subplots(figsize=(7.2, 3.0))
    width = 0.8 / len(names)
    for at, (name, colour) in enumerate(zip(names, PALETTE, strict=False)):
        heights = [values[name] for values in groups.values()]
        places = [g + (at - (len(names) - 1) / 2) * width for g in range(len(groups))]
        ax.bar(places, heights, width, color=colour, label=name)
        for x, height in zip(places, heights, strict=True):
            text = f"{height:,.0f}" if height >= 100 else f"{height:.1f}"
            ax.text(x, height * 1.04, text, ha="center", fontsize=7, color=INK)
    ax.set_xticks(range(len(groups)), list(groups))
    top = max(max(values.values()) for values in groups.values())
    ax.set(ylabel=ylabel, yscale="log", ylim=(floor, 2.2 * top))
    ax.legend(fontsize=8, ncols=len(names), loc="upper left")
    return figure
