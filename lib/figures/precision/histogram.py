"""Gradients by binade, and what a format makes of each: zero, subnormal, normal.

A mean over 2^k times more tokens divides every gradient by about 2^k: the histogram
moves k bins to the left, and the format's window stays.

Read in order: `fates`, `panels`, `bars`, `slide_tokens`. Shown in notebooks/09.
"""

from collections.abc import Mapping

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from lib.figures.theme import BLUE, GREY, ORANGE, PINK, YELLOW
from lib.formats import FloatFormat

COLOURS = {"zero": ORANGE, "subnormal": YELLOW, "normal": BLUE, "beyond": PINK}
SHOWN = range(-48, 6)  # binades


def fates(counts: Mapping[int, int], fmt: FloatFormat, shift: int) -> dict[str, float]:
    """Shares of the numbers other than 0, times 2^shift, by what `fmt` makes of them.

    The floor of `counts` (its zeros) is left out. ValueError where nothing is left.
    """
    found = dict.fromkeys(COLOURS, 0.0)
    there = {e: n for e, n in counts.items() if e > -150}
    if not there:
        raise ValueError(f"no numbers but zeros among {sum(counts.values())}")
    for e, n in there.items():
        found[fate(e + shift, fmt)] += n / sum(there.values())
    return found


def fate(exponent: int, fmt: FloatFormat) -> str:
    """What becomes of the numbers in [2^e, 2^(e+1))."""
    if exponent < fmt.min_exponent - fmt.fraction_bits - 1:
        return "zero"
    if exponent < fmt.min_exponent:
        return "subnormal"
    return "normal" if exponent <= fmt.max_exponent else "beyond"


def panels(
    counts: Mapping[int, int], fmt: FloatFormat, shifts: Mapping[str, int]
) -> Figure:
    """One histogram below another, each moved by its shift; all with one window."""
    figure, axes = plt.subplots(
        len(shifts), 1, figsize=(7, 1.25 * len(shifts) + 0.6), sharex=True, sharey=True
    )
    total = sum(n for e, n in counts.items() if e > -150)
    for ax, (title, shift) in zip(axes, shifts.items(), strict=True):
        for e in SHOWN:
            share = counts.get(e - shift, 0) / total
            ax.bar(e, share, width=0.9, color=COLOURS[fate(e, fmt)])
        lost = fates(counts, fmt, shift)["zero"]
        ax.set_title(f"{title}: {lost:.0%} become zero")
        ax.set_yticks([])
        ax.axvline(fmt.min_exponent - fmt.fraction_bits - 1.5, color=GREY, lw=1)
        ax.axvline(fmt.min_exponent - 0.5, color=GREY, lw=1, ls=":")
    axes[-1].set_xlabel(r"$\lfloor\log_2|g|\rfloor$")
    names = [f"{name} in {fmt.name}" for name in COLOURS if name != "beyond"]
    handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c in COLOURS.values()][:3]
    figure.legend(handles, names, loc="outside upper center", ncols=3, fontsize=8)
    return figure


def bars(counts: Mapping[int, int], fmt: FloatFormat, shift: int) -> str:
    """The histogram moved by `shift`, as a picture in HTML, and the shares in words."""
    total = sum(n for e, n in counts.items() if e > -150)
    top = max(n for e, n in counts.items() if e > -150) / total
    boxes = []
    for place, e in enumerate(SHOWN):
        high = 100 * counts.get(e - shift, 0) / total / top
        boxes.append(
            f"<rect x='{10 * place}' y='{110 - high:.1f}' width='9' "
            f"height='{high:.1f}' fill='{COLOURS[fate(e, fmt)]}'/>"
        )
    words = ", ".join(
        f"<span style='color:{COLOURS[name]}'>{name} {share:.1%}</span>"
        for name, share in fates(counts, fmt, shift).items()
    )
    picture = f"<svg width='{10 * len(SHOWN)}' height='112'>{''.join(boxes)}</svg>"
    return f"<div>{picture}<div>in {fmt.name}: {words}</div></div>"


def slide_tokens(
    counts: Mapping[int, int], fmt: FloatFormat, tokens: int
) -> ipywidgets.VBox:
    """Live: a slider of the tokens in a batch, in powers of two from `tokens` up."""
    choices = [(f"{tokens << k:,} tokens", k) for k in range(14)]
    slider = ipywidgets.SelectionSlider(options=choices, description="batch")
    shown = ipywidgets.HTML(bars(counts, fmt, 0))

    def show(change: dict) -> None:
        shown.value = bars(counts, fmt, -change["new"])

    slider.observe(show, names="value")
    return ipywidgets.VBox([slider, shown])
