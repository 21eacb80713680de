"""Figures of lecture 13: temperature, confusions of letters, students over seeds."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY

PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, INK)


def temperatures(
    rows: Mapping[str, Float[Tensor, " words"]], words: Sequence[str]
) -> Figure:
    """One distribution a panel, over the same words."""
    figure, axes = plt.subplots(1, len(rows), figsize=(7.5, 2.3), sharey=True)
    for ax, (name, p) in zip(np.atleast_1d(axes), rows.items(), strict=True):
        ax.bar(range(len(words)), p.numpy(), color=BLUE)
        ax.set_title(name)
        ax.set_xticks(range(len(words)), words, rotation=60)
    np.atleast_1d(axes)[0].set_ylabel("probability")
    return figure


def confusions(p: Float[Tensor, "letters letters"], letters: Sequence[str]) -> Figure:
    """Row: the letter that came. Column: what else the teacher held possible."""
    figure, ax = plt.subplots(figsize=(5.6, 5.2))
    image = ax.imshow(p.numpy(), cmap="Blues", vmin=0)
    ax.set_xticks(range(len(letters)), letters)
    ax.set_yticks(range(len(letters)), letters)
    ax.set(xlabel="held possible", ylabel="the letter that came")
    ax.grid(False)
    figure.colorbar(image, ax=ax, label="mean probability", shrink=0.8)
    return figure


def seeds(
    values: Mapping[str, Sequence[float]],
    *,
    x: str,
    levels: Mapping[str, float] | None = None,
) -> Figure:
    """A row a way: a dot a seed, a bar at the mean; grey lines for what to compare."""
    figure, ax = plt.subplots(figsize=(6.5, 0.45 * len(values) + 1.0))
    for place, (colour, each) in enumerate(
        zip(PALETTE * len(values), values.values(), strict=False)
    ):
        ax.plot(each, [place] * len(each), "o", color=colour, ms=5, alpha=0.7)
        ax.plot([np.mean(each)] * 2, [place - 0.3, place + 0.3], color=colour, lw=2)
    for name, level in (levels or {}).items():
        ax.axvline(level, color=GREY, lw=1.5, ls="--")
        ax.text(level, -0.75, name, color=GREY, ha="center", va="bottom")
    ax.set_yticks(range(len(values)), list(values))
    ax.set_ylim(len(values) - 0.4, -0.9)
    ax.set_xlabel(x)
    return figure


def curves(rows: Mapping[str, Float[Tensor, " n"]], *, x: str, y: str) -> Figure:
    """The first row as an area, the others as lines."""
    figure, ax = plt.subplots(figsize=(6.5, 2.8))
    (first, area), *lines = rows.items()
    ax.fill_between(range(len(area)), area.numpy(), color=GREY, alpha=0.4, label=first)
    for colour, (name, row) in zip(PALETTE, lines, strict=False):
        ax.plot(row.numpy(), color=colour, lw=2, label=name)
    ax.set(xlabel=x, ylabel=y)
    ax.legend()
    return figure
