"""Figures of cost: what fits, what a machine can reach, when compression pays.

Each function draws one figure and returns it. Read in order: `memory_bars`,
`rooflines`, `layer_times`, `latency_and_throughput`, `losses_by_width`.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from lib.cost import Layer, Machine, memory_bytes, turning_tokens
from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK

PALETTE = (GREY, ORANGE, BLUE, GREEN)


def memory_bars(
    parameters: float, widths: Sequence[int], machines: Sequence[Machine]
) -> Figure:
    """Gigabytes of the weights at each number of bits, beside what machines hold."""
    figure, ax = plt.subplots(figsize=(7.0, 2.9))
    sizes = [memory_bytes(parameters, bits) / 1e9 for bits in widths]
    rows = -np.arange(len(widths))
    ax.barh(rows, sizes, color=BLUE, height=0.62)
    right = max(sizes) * 1.14  # a column of numbers, beside bars and lines
    for row, size in zip(rows, sizes, strict=True):
        ax.text(right, row, f"{size:g} GB", va="center", ha="right")
    for machine in machines:
        edge = machine.memory / 1e9
        ax.axvline(edge, color=ORANGE, lw=1.2, ls="--", zorder=0.9)
        label = f"{machine.name}\n{edge:g} GB"
        ax.text(edge, 0.55, label, color=ORANGE, size=7.5, ha="center", va="bottom")
    ax.set_yticks(rows, [f"{bits} bits" for bits in widths])
    ax.set(xlim=(0, max(sizes) * 1.15), ylim=(0.5 - len(widths), 0.5))
    ax.set_xlabel("weights alone, GB")
    ax.grid(axis="y", visible=False)
    return figure


def rooflines(machines: Sequence[Machine], *, format: str, width: int) -> Figure:
    """Attainable operations a second against operations a byte, on logarithmic axes.

    The vertical lines are K tokens at a time through a layer of `width` in 16 bits.
    """
    figure, ax = plt.subplots(figsize=(8.6, 3.6))
    intensity, seen = np.geomspace(0.3, 8000, 200), set()
    for machine, colour in zip(machines, PALETTE, strict=False):
        peak, ridge = machine.peak(format) / 1e12, machine.ridge(format)
        reach = np.minimum(intensity * machine.bandwidth / 1e12, peak)
        label = f"{machine.name}: {peak:.3g} T/s, {machine.bandwidth / 1e12:.4g} TB/s"
        dash = (0, (4, 3)) if round(peak) in seen else "-"  # over a roof that is there
        seen.add(round(peak))
        ax.loglog(intensity, reach, color=colour, lw=2, label=label, ls=dash)
        ax.plot(ridge, peak, "o", color=colour, ms=6)
    for tokens in (1, 32, 256, 2048):
        x = Layer(tokens, width).intensity
        ax.axvline(x, color=INK, lw=0.8, ls=":")
        ax.text(x * 1.07, 0.22, f"K = {tokens:,}", rotation=90, size=8, va="bottom")
    ax.set(xlim=(0.3, 8000), ylim=(0.2, 9000))
    ax.set_xlabel("operations a byte")
    ax.set_ylabel(f"{format} operations, T/s")
    ax.set_title("Left of its ridge (dot) a machine waits for memory")
    ax.legend(loc="upper left", fontsize=8.5, bbox_to_anchor=(1.0, 1.0))
    return figure


def layer_times(machine: Machine, width: int) -> Figure:
    """Time of one layer against K: 16 bits, 4-bit weights, everything in 8 bits."""
    figure, ax = plt.subplots(figsize=(7.4, 3.8))
    tokens = np.unique(np.geomspace(1, 16_384, 160).astype(int))
    cases = (
        ("4-bit weights, 16-bit arithmetic", 4, 16, "fp16", BLUE, "-"),
        ("8-bit weights and activations, int8 arithmetic", 8, 8, "int8", ORANGE, "-"),
        ("16-bit weights and activations", 16, 16, "fp16", INK, "--"),
    )
    for label, weight, activation, format, colour, dash in cases:
        layers = [Layer(int(k), width, weight, activation) for k in tokens]
        micros = [1e6 * layer.seconds(machine, format) for layer in layers]
        ax.loglog(tokens, micros, dash, color=colour, lw=2, label=label)
        turn = turning_tokens(
            machine,
            width,
            weight_bits=weight,
            activation_bits=activation,
            format=format,
        )
        at_turn = Layer(round(turn), width, weight, activation)
        micros = 1e6 * at_turn.seconds(machine, format)
        ax.plot(turn, micros, "o", color=colour, ms=6)
        ax.annotate(
            f"K = {turn:.0f}",
            (turn, micros),
            xytext=(6, -11),
            textcoords="offset points",
            color=colour,
            size=9,
        )
    ax.axvline(width, color=GREY, lw=0.9, ls=":")
    ax.text(width * 0.93, 9, "K = N", color=GREY, ha="right", size=9)
    ax.set_xlabel("tokens at a time, K")
    ax.set_ylabel("microseconds, at least")
    ax.set_title(f"One {width:,} × {width:,} layer on an {machine.name}")
    ax.legend(loc="upper left")
    return figure


def latency_and_throughput(step_ms: Mapping[int, Sequence[float]]) -> Figure:
    """Measured decoding steps by batch size: latency percentiles, and throughput."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2))
    for (batch, times), colour in zip(step_ms.items(), PALETTE, strict=False):
        percent = 100 * (np.arange(len(times)) + 1) / len(times)
        left.step(
            np.sort(times), percent, color=colour, where="post", label=f"batch {batch}"
        )
    for percentile in (50, 95):
        left.axhline(percentile, color=GREY, lw=0.8, ls=":")
    left.set(xlabel="latency of a step, ms", ylabel="percent of steps faster")
    left.set(xlim=(0, None), title="Latency, ms @ percentile")
    left.legend(loc="lower right")
    rates = [1000 * batch / np.median(times) for batch, times in step_ms.items()]
    bars = right.bar([str(batch) for batch in step_ms], rates, color=PALETTE)
    right.bar_label(bars, fmt="%.0f")
    right.set(xlabel="batch", ylabel="tokens/s", title="Throughput")
    right.grid(axis="x", visible=False)
    return figure


def losses_by_width(
    losses: Float[Tensor, "widths starts"], widths: Sequence[int], enough: float
) -> Figure:
    """Final losses of every start, by width; the line marks the width that suffices."""
    figure, ax = plt.subplots(figsize=(7.0, 3.3))
    places = np.arange(len(widths))
    best = losses.min().item()
    scatter = np.linspace(-0.22, 0.22, losses.shape[1])
    for place, row in zip(places, losses.tolist(), strict=True):
        ax.plot(place + scatter, row, "o", color=BLUE, ms=4, alpha=0.55, mew=0)
    ax.axhline(best, color=GREEN, lw=1.2, label="global minimum")
    ax.axvline(
        np.interp(enough, widths, places), color=PINK, lw=1.2, ls="--", label="√(2n)"
    )
    ax.set_yscale("log")
    ax.set_xticks(places, [str(width) for width in widths])
    ax.set(xlabel="hidden nodes, k", ylabel="final training loss")
    ax.set_title("Every dot is one random start")
    ax.legend()
    return figure
