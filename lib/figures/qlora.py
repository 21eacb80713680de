"""Figures of lecture 10: memory in terms, pages that move, updates beside gaps."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, YELLOW
from lib.train.pages import Move

PALETTE = (BLUE, SKY, GREEN, YELLOW, ORANGE, PINK, GREY, INK)


def memory_bars(
    columns: Mapping[str, Mapping[str, float]], *, limit: float | None = None
) -> Figure:
    """Draw each column's terms end to end, in GB; `limit` is a line, in bytes."""
    figure, ax = plt.subplots(figsize=(7, 0.55 * len(columns) + 2.1))
    terms = list(dict.fromkeys(term for column in columns.values() for term in column))
    for row, column in enumerate(columns.values()):
        left = 0.0
        for term, size in column.items():
            colour = PALETTE[terms.index(term) % len(PALETTE)]
            label = term if term not in ax.get_legend_handles_labels()[1] else None
            ax.barh(row, size / 1e9, left=left, color=colour, label=label, height=0.6)
            left += size / 1e9
    if limit is not None:
        ax.axvline(limit / 1e9, color=INK, ls="--", lw=1, label=f"{limit / 1e9:g} GB")
    totals = {name: sum(column.values()) / 1e9 for name, column in columns.items()}
    names = [f"{name}: {total:.1f}" for name, total in totals.items()]
    ax.set_yticks(range(len(columns)), names)
    ax.set(xlabel="GB (powers of ten)", xlim=(0, 1.06 * max(totals.values())))
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.legend(fontsize=8, ncols=2, loc="upper left", bbox_to_anchor=(-0.2, -0.28))
    return figure


def residency(
    moves: Sequence[Move], *, pages: int, clock: int, marks: Mapping[int, str]
) -> Figure:
    """Draw when each page was in the fast memory; `marks` name moments by the clock."""
    figure, ax = plt.subplots(figsize=(7, 3.4))
    since: dict[int, int] = {}
    spans: dict[int, list[tuple[int, int]]] = {page: [] for page in range(pages)}
    for move in moves:
        if move.way == "in":
            since[move.page] = move.clock
        else:
            start = since.pop(move.page)
            spans[move.page].append((start, move.clock - start))
    for page, start in since.items():
        spans[page].append((start, clock - start))
    for page, runs in spans.items():
        ax.broken_barh(runs, (page - 0.4, 0.8), color=BLUE)
    for at, name in marks.items():
        ax.axvline(at, color=ORANGE, lw=1)
        ax.text(at + 0.01 * clock, pages - 0.2, name, fontsize=8, color=ORANGE)
    ax.set(
        xlabel="pages touched so far",
        ylabel="page",
        xlim=(0, clock),
        ylim=(-0.7, pages + 0.8),
    )
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.grid(False)
    return figure


def before_and_after(pairs: Mapping[str, Sequence[tuple[str, float]]]) -> Figure:
    """Draw a panel a text, all in one scale: losses of named states, as dots."""
    figure, axes = plt.subplots(
        1, len(pairs), figsize=(7, 2.2), sharex=True, squeeze=False
    )
    everything = [loss for states in pairs.values() for _, loss in states]
    spread = max(everything) - min(everything)
    for ax, (title, states) in zip(axes[0], pairs.items(), strict=True):
        for row, (_, loss) in enumerate(states):
            ax.plot(loss, row, "o", color=(GREY, BLUE, ORANGE)[row % 3], ms=8)
            ax.text(loss, row - 0.18, f"{loss:.3f}", ha="center", fontsize=8, color=INK)
        ax.set_yticks(range(len(states)), [name for name, _ in states], fontsize=8)
        ax.set(
            xlim=(min(everything) - 0.2 * spread, max(everything) + 0.2 * spread),
            ylim=(-0.6, len(states) - 0.4),
            xlabel="nats a token",
        )
        ax.set_title(title, loc="left", fontsize=10)
        ax.invert_yaxis()
        ax.grid(False, axis="y")
    return figure


def updates_beside_gaps(
    update: Float[Tensor, " n"], needed: Float[Tensor, " n"]
) -> Figure:
    """Draw the sizes of updates, and what would move each weight to another code."""
    figure, ax = plt.subplots(figsize=(7, 2.8))
    sizes = {"|ΔW|": (update, BLUE), "needed to change its code": (needed, ORANGE)}
    positive = torch.cat([x[x > 0] for x, _ in sizes.values()])
    low, high = positive.log10().quantile(torch.tensor([0.001, 1.0])).tolist()
    bins = torch.logspace(low, high, 80)
    for name, (x, colour) in sizes.items():
        ax.hist(x.numpy(), bins=bins.numpy(), color=colour, alpha=0.6, label=name)
    ax.set(xscale="log", xlabel="size", ylabel="weights")
    ax.legend(fontsize=8, loc="upper left")
    return figure


def losses_by_type(rows: Sequence[Mapping], kinds: Sequence[str]) -> Figure:
    """Draw held-out loss before and after, by data type; a dot a seed, a line a run."""
    figure, ax = plt.subplots(figsize=(7, 2.8))
    for at, kind in enumerate(kinds):
        mine = [row for row in rows if row["base"] == kind]
        for row in mine:
            ends = row["help_before"], row["help_after"]
            ax.plot([at - 0.15, at + 0.15], ends, color=GREY, lw=0.8)
        ax.plot([at - 0.15], [mine[0]["help_before"]], "o", color=ORANGE)
        after = [row["help_after"] for row in mine]
        ax.plot([at + 0.15] * len(after), after, "o", color=BLUE)
    ax.plot([], [], "o", color=ORANGE, label="before")
    ax.plot([], [], "o", color=BLUE, label="after eight steps, each seed")
    ax.set_xticks(range(len(kinds)), list(kinds))
    ax.set(ylabel="nats a token", xlim=(-0.5, len(kinds) - 0.5))
    ax.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    return figure


def steps(rows: Sequence[Mapping[str, Any]], floor_ms: Mapping[str, float]) -> Figure:
    """Milliseconds of a training step by way, a panel a size; a line is its floor."""
    sizes = list(floor_ms)
    figure, axes = plt.subplots(1, len(sizes), figsize=(8, 2.2), sharey=True)
    for ax, size in zip(axes, sizes, strict=True):
        mine = [row for row in rows if row["size"] == size]
        ax.barh(
            [row["way"] for row in mine],
            [row["ms"] for row in mine],
            color=[BLUE if "ours" in row["way"] else ORANGE for row in mine],
            height=0.6,
        )
        ax.axvline(floor_ms[size], color=INK, ls="--", lw=1)
        ax.set(title=size, xlabel="ms a step")
        ax.grid(False, axis="y")
    axes[0].invert_yaxis()
    return figure
