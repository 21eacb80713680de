"""One look for every figure of the course: call `use_theme()` once, at a lecture's top.

The colours are Okabe and Ito's, which stay apart for colour-blind readers and in print.
Source: Okabe & Ito 2008, "Color Universal Design".
"""

import matplotlib.pyplot as plt
from cycler import cycler

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PINK, SKY, YELLOW, INK, GREY = "#CC79A7", "#56B4E9", "#E69F00", "#222222", "#8A8A8A"

# What a bit of a number means keeps its colour in every figure.
SIGN, EXPONENT, FRACTION = PINK, ORANGE, BLUE


def use_theme() -> None:
    """Set matplotlib's defaults: quiet axes, readable text, 110 dots an inch."""
    plt.rcParams.update(
        {
            "figure.figsize": (7.0, 3.2),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PINK, SKY, YELLOW]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": GREY,
            "axes.titlesize": "medium",
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.grid": True,
            "grid.color": "#E5E5E5",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "font.size": 10,
            "legend.frameon": False,
            "text.color": INK,
            "axes.labelcolor": INK,
        }
    )
