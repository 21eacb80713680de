"""Rates with their intervals, and the courses of runs that learned or did not.

    Wilson's interval of k out of n, p̂ = k / n:
    p in (p̂ + z²/2n ± z √(p̂ (1 - p̂) / n + z²/4n²)) / (1 + z²/n)

It stays between 0 and 1, and says something of 0 out of n.

Read in order: `interval`, `rates`, `courses`. Shown in notebooks/09.
Source: Wilson 1927, as in Brown, Cai & DasGupta 2001, section 3.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from lib.figures.theme import BLUE, GREEN, GREY, ORANGE, PINK

KINDS = ((BLUE, "-"), (ORANGE, "-"), (GREY, "--"))
PALETTE = (BLUE, GREY, ORANGE, PINK, GREEN)


def interval(count: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share, by default of 95 %.

    ValueError unless 0 <= count <= total and there is at least one.
    """
    if total < 1 or not 0 <= count <= total:
        raise ValueError(f"{count} out of {total}")
    p, q = count / total, z * z / total
    half = z * (p * (1 - p) / total + q / (4 * total)) ** 0.5
    low, high = ((p + q / 2 + sign * half) / (1 + q) for sign in (-1, 1))
    return min(max(0.0, low), p), max(min(1.0, high), p)


def rates(
    counted: Mapping[str, Mapping[str, tuple[int, int]]], *, xlabel: str, ylabel: str
) -> Figure:
    """By arm: a share and its interval for each group on the axis below."""
    figure, ax = plt.subplots(figsize=(7, 3.2))
    groups = list(next(iter(counted.values())))
    for place, (arm, by) in enumerate(counted.items()):
        shift = 0.16 * (place - (len(counted) - 1) / 2)
        share = [by[g][0] / by[g][1] for g in groups]
        ends = [interval(*by[g]) for g in groups]
        below = [s - low for s, (low, _) in zip(share, ends, strict=True)]
        above = [high - s for s, (_, high) in zip(share, ends, strict=True)]
        x = [i + shift for i in range(len(groups))]
        how = {"color": PALETTE[place % len(PALETTE)], "ms": 5, "capsize": 2}
        ax.errorbar(x, share, (below, above), fmt="o", label=arm, **how)
    ax.set_xticks(range(len(groups)), groups)
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=(-0.02, None))
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def courses(
    panels: Mapping[str, Sequence[Sequence[float | None]]],
    *,
    every: int,
    learned: float,
    level: tuple[str, float],
) -> Figure:
    """Losses by step, a line a seed: in orange where the last is above `learned`."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(7, 2.9), sharey=True, squeeze=False
    )
    for ax, (title, runs) in zip(axes[0], panels.items(), strict=True):
        for run in runs:
            known = [loss for loss in run if loss is not None]
            lost = len(known) < len(run) or known[-1] > learned
            x = [every * (i + 0.5) for i in range(len(known))]
            ax.plot(x, known, color=ORANGE if lost else BLUE, lw=0.9, alpha=0.8)
        ax.axhline(level[1], color=GREY, ls="--", lw=1)
        ax.set(title=title, xlabel="step")
    axes[0][0].set_ylabel("nats a letter")
    handles = [plt.Line2D([], [], color=c, ls=s) for c, s in KINDS]
    names = ["learned", "did not", level[0]]
    figure.legend(handles, names, loc="outside upper center", ncols=3, fontsize=8)
    return figure
