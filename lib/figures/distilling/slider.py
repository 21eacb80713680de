"""A slider for T: softmax(z / T) as bars that move.

Read in order: `bars`, `slide`.  Shown in notebooks/13.
"""

import html
from collections.abc import Sequence

import ipywidgets
import torch

from lib.figures.theme import BLUE


def bars(logits: Sequence[float], words: Sequence[str], temperature: float) -> str:
    """softmax(z / T) as rows of HTML, widths in per cent.

    ValueError for a temperature that is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"{temperature=}")
    p = (torch.tensor(logits, dtype=torch.float64) / temperature).softmax(-1).tolist()
    rows = "".join(
        f"<tr><td>{html.escape(word)}</td><td style='width:20em'>"
        f"<div style='background:{BLUE};width:{share:.1%}'>&nbsp;</div></td>"
        f"<td>{share:.3f}</td></tr>"
        for word, share in zip(words, p, strict=True)
    )
    return f"<table>{rows}</table>"


def slide(logits: Sequence[float], words: Sequence[str]) -> ipywidgets.VBox:
    """Live: a slider of T from a quarter to eight, and the bars."""
    slider = ipywidgets.FloatLogSlider(
        value=1.0, base=2, min=-2, max=3, step=0.25, description="T"
    )
    shown = ipywidgets.HTML(bars(logits, words, slider.value))

    def show(change: dict) -> None:
        shown.value = bars(logits, words, change["new"])

    slider.observe(show, names="value")
    return ipywidgets.VBox([slider, shown])
