"""The format explorer: type a number, see its bits, its neighbours and its error.

    x  ->  sign | exponent | fraction  ->  x̂ = ± 2^E (k / 2^m)      below <= x <= above

`explore` is live and needs ipywidgets' front end; `reading_figure` is the same reading
as a still picture, for where widgets cannot run.

Read in order: `Reading`, `read`, `parse`, `to_html`, `explore`.  Shown in notebooks/02.
"""

import html
import math
from dataclasses import dataclass
from fractions import Fraction

import ipywidgets
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from lib import formats
from lib.figures.formats import draw_bits, draw_place, tick_labels, values_around
from lib.figures.theme import BLUE, EXPONENT, FRACTION, GREY, ORANGE, SIGN
from lib.formats import FloatFormat, bit_string, neighbours, round_to

CHOICES = (
    formats.FP64,
    formats.FP32,
    formats.TF32,
    formats.BF16,
    formats.FP16,
    formats.FP8_E4M3,
    formats.FP8_E5M2,
    formats.FP6_E2M3,
    formats.FP6_E3M2,
    formats.FP4_E2M1,
)
WORDS = {"pi": math.pi, "π": math.pi, "e": math.e}
INK = "var(--jp-content-font-color1, #222)"  # follows JupyterLab's light or dark theme


@dataclass(frozen=True)
class Reading:
    """What `fmt` makes of `x`; `around` is empty where x is NaN."""

    x: float
    fmt: FloatFormat
    bits: str
    stored: float
    below: float
    above: float
    around: tuple[float, ...]

    @property
    def kind(self) -> str:
        """In one phrase, what happened to x."""
        size = abs(self.stored)
        if math.isnan(self.x):
            return "not a number"
        if abs(self.x) > self.fmt.max:
            end = {True: "stored as the largest", False: f"stored as {self.stored}"}
            return f"overflow: beyond {self.fmt.max:g}, {end[size == self.fmt.max]}"
        if size == 0:
            return "zero" if self.x == 0 else "underflow: too small, stored as zero"
        exact = ", exact" if self.stored == self.x else ""
        return ("subnormal" if size < self.fmt.smallest_normal else "normal") + exact

    @property
    def formula(self) -> str:
        """The stored number as ±2^E × (1 + f/2^m), or as a special code."""
        if not math.isfinite(self.stored):
            return f"a special code: {self.stored}"
        sign, field, fraction = [*self.bits.split(), ""][:3]
        exponent = max(int(field, 2), 1) - self.fmt.bias
        whole, m = int("1" in field), self.fmt.fraction_bits
        tail = f" + {int(fraction, 2)}/{2**m}" if m else ""
        return f"{'−' if sign == '1' else '+'}2^{exponent} × ({whole}{tail})"

    @property
    def error(self) -> str:
        """x̂ − x, also relative to x and to the gap that x lies in."""
        if not (math.isfinite(self.stored) and math.isfinite(self.x)):
            return "error: none to speak of"
        error, gap = self.stored - self.x, self.above - self.below
        text = f"error {error:+.6g}"
        if self.x:
            text += f", {abs(error / self.x):.3%} of x"
        return text + (f", {abs(error) / gap:.3f} gaps" if 0 < gap < math.inf else "")


def read(x: float, fmt: FloatFormat) -> Reading:
    """Round x to `fmt`, and look around; `ValueError` where `fmt` has no NaN for x."""
    bits = bit_string(x, fmt)
    stored = round_to(torch.tensor(x, dtype=torch.float64), fmt).item()
    if math.isnan(x):
        return Reading(x, fmt, bits, stored, math.nan, math.nan, ())
    return Reading(
        x, fmt, bits, stored, *neighbours(x, fmt), tuple(values_around(x, fmt))
    )


def parse(text: str) -> float:
    """A number as people type it: 3.14, 1e-5, 1/3, pi, -inf, nan; else `ValueError`."""
    text = text.strip().replace("−", "-")
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        return float(Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        hint = "try 3.14, 1e-5, 1/3, pi, -inf or nan"
        raise ValueError(f"“{text}” is not a number yet: {hint}") from None


def to_html(reading: Reading) -> str:
    """A reading as coloured bits, lines of text, and a piece of the number line."""
    style = "color:white;padding:3px 6px;margin-right:2px;font:15px monospace"
    boxes = "".join(
        f'<span style="background:{colour};{style}">{bit}</span>'
        for part, colour in zip(
            reading.bits.split(), (SIGN, EXPONENT, FRACTION), strict=False
        )
        for bit in part
    )
    lines = (
        f"<b>{reading.stored!r}</b> = {reading.formula}",
        f"{reading.kind}; {reading.error}",
        f"neighbours: {reading.below!r} ≤ x ≤ {reading.above!r}",
    )
    text = "".join(f"<div>{line}</div>" for line in lines)
    return (
        f'<div style="color:{INK};line-height:1.7">'
        f'<div style="line-height:2.2">{boxes}</div>{text}{place_svg(reading)}</div>'
    )


def place_svg(reading: Reading) -> str:
    """The numbers around x on a line, the stored one thick, x as a triangle above."""
    values = reading.around
    if not values:
        return ""
    left, right = values[0], values[-1]

    def across(value: float) -> float:
        share = value / right if left == -right else (value - left) / (right - left)
        share = share / 2 + 0.5 if left == -right else share
        return 50 + 560 * min(max(share, 0.0), 1.0)

    marks = "".join(
        f'<rect x="{across(v) - w / 2:.1f}" y="28" width="{w}" height="22" fill="{c}"/>'
        f'<text x="{across(v):.1f}" y="66" text-anchor="middle">{label}</text>'
        for v, label in zip(values, tick_labels(values, reading.stored), strict=True)
        for w, c in [(5, BLUE) if v == reading.stored else (2, GREY)]
    )
    x = across(reading.x)
    return (
        f'<svg width="660" height="74" style="font:11px sans-serif;fill:{INK}">'
        f'<line x1="30" y1="50" x2="630" y2="50" stroke="{GREY}"/>{marks}'
        f'<path d="M{x - 6:.1f} 12 h12 l-6 11 z" fill="{ORANGE}"/></svg>'
    )


def explore(text: str = "pi", fmt: FloatFormat = formats.FP8_E4M3) -> ipywidgets.VBox:
    """Live explorer: a format to choose, a number to type, two buttons to step by.

    Children: a row (format, number, ◀, ▶) and the reading, which follows every key.
    """
    options = [(choice.name, choice) for choice in CHOICES]
    chooser = ipywidgets.Dropdown(options=options, value=fmt, description="format")
    number = ipywidgets.Text(value=text, description="number", continuous_update=True)
    back, forth = (
        ipywidgets.Button(description=d, tooltip=tip, layout={"width": "3em"})
        for d, tip in (
            ("◀", "the next smaller number"),
            ("▶", "the next larger number"),
        )
    )
    shown = ipywidgets.HTML()

    def show(_: object = None) -> None:
        try:
            shown.value = to_html(read(parse(number.value), chooser.value))
        except ValueError as complaint:
            shown.value = f'<i style="color:{GREY}">{html.escape(str(complaint))}</i>'

    def step(towards: float) -> None:
        try:
            x = parse(number.value)
            beside = math.nextafter(x, towards)
            value = neighbours(beside, chooser.value)[towards > 0]
        except ValueError:
            return  # nothing to step from; the message is on display already
        if math.isfinite(value):
            number.value = repr(value)

    for widget in (chooser, number):
        widget.observe(show, names="value")
    back.on_click(lambda _: step(-math.inf))
    forth.on_click(lambda _: step(math.inf))
    show()
    return ipywidgets.VBox([ipywidgets.HBox([chooser, number, back, forth]), shown])


def reading_figure(x: float, fmt: FloatFormat) -> Figure:
    """The explorer's view of x as a still picture; `ValueError` for NaN."""
    if math.isnan(x):
        raise ValueError("NaN has no place on the number line")
    reading = read(x, fmt)
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(8.5, 2.6), height_ratios=(1.1, 1)
    )
    draw_bits(top, x, fmt)
    top.text(0, -0.5, f"{reading.stored!r} = {reading.formula}", va="center")
    top.text(0, -1.1, f"{reading.kind}; {reading.error}", va="center")
    top.set(xlim=(-0.5, max(fmt.bits, 24)), ylim=(-1.5, 1.6))
    top.set_title(f"{x!r} in {fmt.name}")
    top.axis("off")
    draw_place(bottom, x, reading.stored, reading.around)
    return figure
