"""Where the time of a step goes on a GPU: bytes that it must read, and all the rest.

Read in order: `Bar`, `shares`. In notebooks/14.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from lib.figures.theme import BLUE, INK, ORANGE

FADED = "#E0E0E0"


@dataclass(frozen=True)
class Bar:
    """A step that takes `step_us`, and the two parts of its floor in microseconds."""

    step_us: float
    weights_us: float
    cache_us: float
    label: str  # behind the bar


def shares(bars: Mapping[str, Bar]) -> Figure:
    """A bar a step, all of one length: weights, keys and values, what is above them."""
    figure, ax = plt.subplots(figsize=(8.4, 0.6 + 0.42 * len(bars)))
    for y, bar in enumerate(bars.values()):
        left = 0.0
        floor = bar.weights_us + bar.cache_us
        parts = {
            BLUE: bar.weights_us,
            ORANGE: bar.cache_us,
            FADED: bar.step_us - floor,
        }
        for colour, part in parts.items():
            share = 100 * part / bar.step_us
            ax.barh(y, share, left=left, color=colour, height=0.62)
            left += share
        ax.text(101.5, y, bar.label, va="center", color=INK, fontsize=8.5)
    names = ("weights", "keys and values", "all that a copy's speed does not explain")
    for colour, name in zip((BLUE, ORANGE, FADED), names, strict=True):
        ax.barh(0, 0, color=colour, label=name)
    ax.set_yticks(range(len(bars)), list(bars))
    ax.invert_yaxis()
    ax.set(xlim=(0, 100), xlabel="% of the step")
    ax.grid(False)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8.5)
    return figure
