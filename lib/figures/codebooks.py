"""Figures of lecture 05: levels on a line, under a curve, in use; their cost."""

from collections import defaultdict

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, YELLOW

PALETTE = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY)


def normal_density(z: Tensor) -> Tensor:
    """φ(z) of the standard normal."""
    return (-z.square() / 2).exp() / (2 * torch.pi) ** 0.5


def level_lines(alphabets: dict[str, Float[Tensor, " levels"]]) -> Figure:
    """Draw every alphabet's levels as strokes on its own line, all in one scale."""
    figure, ax = plt.subplots(figsize=(7, 0.5 * len(alphabets) + 0.6))
    for row, (levels, colour) in enumerate(
        zip(alphabets.values(), PALETTE, strict=False)
    ):
        ax.hlines(-row, -1, 1, color=GREY, lw=0.8)
        ax.vlines(levels, -row - 0.3, -row + 0.3, color=colour, lw=2)
    ax.set_yticks([-row for row in range(len(alphabets))], list(alphabets))
    ax.set(xlabel="level, in units of the block's constant", xlim=(-1.04, 1.04))
    ax.grid(False)
    return figure


def levels_under_normal(levels: Float[Tensor, " levels"], unit: float) -> Figure:
    """Draw the normal curve, cut halfway between levels, with the share in each cell.

    `unit` is how many σ level 1 stands for.
    """
    figure, ax = plt.subplots(figsize=(7, 3.0))
    at = levels.double() * unit
    edges = torch.cat(
        [at.new_tensor([-3.0]), (at[:-1] + at[1:]) / 2, at.new_tensor([3.0])]
    )
    shares = torch.special.ndtr(edges).diff()
    for k, share in enumerate(shares):
        z = torch.linspace(edges[k], edges[k + 1], 40, dtype=torch.float64)
        ax.fill_between(
            z, normal_density(z), color=(BLUE, SKY)[k % 2], alpha=0.55, lw=0
        )
        ax.text(at[k], -0.035, f"{100 * share:.0f}", ha="center", fontsize=7, color=INK)
    ax.vlines(at, 0, normal_density(at), color=ORANGE, lw=1.5)
    ax.text(-3.0, -0.035, "share, %", fontsize=7, ha="left", color=INK)
    ax.set(xlabel="weight, in σ", ylabel="density", xlim=(-3, 3), ylim=(-0.06, 0.42))
    ax.grid(False)
    return figure


def lloyd_paths(paths: Float[Tensor, "iterations k"], w: Float[Tensor, " n"]) -> Figure:
    """Draw how levels move under Lloyd's iteration, beside the weights' histogram."""
    figure, (ax, side) = plt.subplots(
        1, 2, figsize=(7, 3.2), sharey=True, width_ratios=(4, 1)
    )
    ax.plot(paths, color=BLUE, lw=1.2)
    ax.set(xlabel="iteration", ylabel="level", xscale="symlog")
    side.hist(w.numpy(), bins=80, orientation="horizontal", color=SKY)
    side.set(xlabel="weights", xticks=[])
    side.grid(False)
    low, high = w.quantile(torch.tensor([0.0005, 0.9995])).tolist()
    ax.set_ylim(min(low, paths.min().item()), max(high, paths.max().item()))
    return figure


def code_usage(usage: dict[str, Int[Tensor, " codes"]]) -> Figure:
    """Draw the share of weights on each code, one alphabet a panel."""
    figure, axes = plt.subplots(1, len(usage), figsize=(7, 2.4), sharey=True)
    for ax, (title, codes), colour in zip(axes, usage.items(), PALETTE, strict=False):
        share = codes.bincount(minlength=16) / len(codes) * 100
        ax.bar(range(16), share.tolist(), color=colour)
        ax.axhline(100 / 16, color=GREY, ls="--", lw=1)
        entropy = -(share / 100 * (share / 100).clamp(min=1e-12).log2()).sum().item()
        ax.set(
            title=f"{title}: {entropy:.2f} bits used", xlabel="code", xticks=[0, 7, 15]
        )
    axes[0].set_ylabel("weights (%)")
    return figure


def constants_histogram(
    constants: Float[Tensor, " blocks"], levels: Float[Tensor, "256"]
) -> Figure:
    """Draw one nested block's constants over the levels of the dynamic map."""
    figure, ax = plt.subplots(figsize=(7, 2.4))
    centred = constants - constants.mean()
    ax.hist(centred / centred.abs().max(), bins=60, color=SKY)
    ax.vlines(levels, 0, ax.get_ylim()[1] * 0.12, color=ORANGE, lw=0.6)
    ax.set(xlabel="(constant − mean) / largest", ylabel="constants", xlim=(-1.02, 1.02))
    return figure


def perplexity_by_bits(rows: list[dict], *, baseline: float, top: float) -> Figure:
    """Draw perplexity against stored bits a weight, one line a family, cut at `top`."""
    figure, ax = plt.subplots(figsize=(7, 3.6))
    families = defaultdict(list)
    for row in rows:
        families[row["family"]].append((row["bits_per_weight"], row["perplexity"]))
    markers = "os^DP*"
    for (name, points), colour, marker in zip(
        families.items(), PALETTE, markers, strict=False
    ):
        bits, values = zip(*sorted(points), strict=True)
        size = 9 if len(points) == 1 else 5
        ax.plot(bits, values, marker=marker, ms=size, color=colour, label=name)
    ax.axhline(baseline, color=GREY, ls="--", lw=1, label="fp32")
    ax.set(
        xlabel="bits a weight, overheads included",
        ylabel="perplexity",
        yscale="log",
        ylim=(baseline * 0.95, top),
    )
    ticks = [t for t in (30, 40, 60, 100, 200, 500, 1000) if t <= top]
    ax.set_yticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.legend(fontsize=8)
    return figure
