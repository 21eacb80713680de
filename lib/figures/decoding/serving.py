"""Figures of serving: what a cache takes, who is in a pass, what a pass costs.

Each function draws one figure and returns it; `stepper` is live, and needs ipywidgets'
front end: `timelines` is the same as a still picture. A *trace* is a list of passes,
and a pass says of each request that is in it how many tokens it reads or writes.

Read in order: `growth`, `memory_maps`, `timelines`, `stepper`, `pass_sizes`;
`keys_and_values`, `perplexity_against_bits`, `waits`, `together`.  In notebooks/14.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from lib.cost import Number
from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, YELLOW

COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, YELLOW)
UNUSED, RESERVED = -1, -2  # cells of a map of memory that hold nothing
FADED = "#E8E8E8"


@dataclass(frozen=True)
class Passed:
    """Tokens that a pass reads of prompts and writes, by request; who waits."""

    read: Mapping[int, int] = field(default_factory=dict)
    written: Mapping[int, int] = field(default_factory=dict)
    waiting: int = 0


def growth(
    token_bytes: Mapping[str, float], weights: Mapping[str, float], longest: float
) -> Figure:
    """Gigabytes of the cache against its tokens; dashed, the weights of the model."""
    figure, ax = plt.subplots(figsize=(8.4, 3.6))
    tokens = np.geomspace(100, longest, 60)
    for (name, size), colour in zip(token_bytes.items(), COLOURS, strict=False):
        ax.loglog(tokens, tokens * size / 1e9, color=colour, lw=2, label=name)
        ax.axhline(weights[name] / 1e9, color=colour, lw=1, ls="--")
    ax.plot([], [], color=GREY, lw=1, ls="--", label="the model's weights")
    ax.set(xlabel="tokens in the cache, of all requests together", ylabel="GB")
    ax.set_title("A line that meets its dashes weighs as much as the model")
    figure.legend(loc="outside right upper", fontsize=8.5)
    return figure


def colour_of(cell: int) -> str:
    """A request's colour; white for what is unused, grey for what is only reserved."""
    if cell == UNUSED:
        return "white"
    return FADED if cell == RESERVED else COLOURS[cell % len(COLOURS)]


def memory_maps(maps: Mapping[str, Sequence[int]], columns: int = 48) -> Figure:
    """A cell a block, row by row: whose it is, by number and colour."""
    rows = [-(-len(cells) // columns) for cells in maps.values()]
    figure, axes = plt.subplots(
        len(maps),
        1,
        figsize=(8.4, 0.55 * len(maps) + 0.24 * sum(rows)),
        height_ratios=rows,
        squeeze=False,
    )
    for ax, (title, cells), tall in zip(axes[:, 0], maps.items(), rows, strict=True):
        for at, cell in enumerate(cells):
            corner = (at % columns, tall - 1 - at // columns)
            ax.add_patch(
                Rectangle(corner, 1, 1, facecolor=colour_of(cell), edgecolor=GREY)
            )
            if cell >= 0:
                middle = (corner[0] + 0.5, corner[1] + 0.45)
                ax.text(
                    *middle, str(cell), color="white", size=6, ha="center", va="center"
                )
        ax.set(xlim=(0, columns), ylim=(0, tall))
        ax.set_title(title)
        ax.axis("off")
    return figure


def ends_of(trace: Sequence[Passed]) -> dict[int, tuple[int, int]]:
    """The first and the last pass of each request."""
    ends: dict[int, tuple[int, int]] = {}
    for at, passed in enumerate(trace):
        for request in (*passed.read, *passed.written):
            ends[request] = (ends.get(request, (at, at))[0], at)
    return ends


def timelines(traces: Mapping[str, Sequence[Passed]], texts: int) -> Figure:
    """Each trace as `texts` places over passes: reading, writing, or nobody."""
    figure, axes = plt.subplots(
        len(traces),
        1,
        figsize=(8.6, 0.9 + len(traces) * (0.5 + 0.24 * texts)),
        sharex=True,
        squeeze=False,
    )
    for ax, (title, trace) in zip(axes[:, 0], traces.items(), strict=True):
        for at, passed in enumerate(trace):
            for place, request in places(trace, texts)[at].items():
                reads = request in passed.read
                ax.add_patch(
                    Rectangle(
                        (at, place + 0.08),
                        1,
                        0.84,
                        facecolor=colour_of(request),
                        edgecolor=INK if reads else "white",
                        lw=0.9 if reads else 0.2,
                    )
                )
        for request, (first, last) in ends_of(trace).items():
            place = next(
                p for p, r in places(trace, texts)[first].items() if r == request
            )
            middle = (first + last + 1) / 2
            ax.text(
                middle,
                place + 0.48,
                str(request),
                color="white",
                size=8,
                ha="center",
                va="center",
            )
        ax.axvline(len(trace), color=INK, lw=1)
        ax.set(ylim=(texts, 0), yticks=[], title=f"{title}: {len(trace)} passes")
        ax.grid(visible=False)
    axes[-1, 0].set(xlabel="pass of the model (framed: reads a prompt)")
    axes[-1, 0].set_xlim(0, max(len(trace) for trace in traces.values()) + 0.5)
    return figure


def places(trace: Sequence[Passed], texts: int) -> list[dict[int, int]]:
    """Who sits where in each pass: a request keeps its place until its last one.

    ValueError where more than `texts` requests are in one pass.
    """
    ends, seated, found = ends_of(trace), dict[int, int](), []
    for at, passed in enumerate(trace):
        for request in (*passed.read, *passed.written):
            if request in seated.values():
                continue
            free = [place for place in range(texts) if place not in seated]
            if not free:
                raise ValueError(f"pass {at} has more than {texts} requests")
            seated[free[0]] = request
        found.append(dict(seated))
        seated = {p: r for p, r in seated.items() if ends[r][1] > at}
    return found


def stepper(traces: Mapping[str, Sequence[Passed]], texts: int) -> ipywidgets.VBox:
    """Walk through the passes: a slider and, of each trace, who is in and who waits.

    Children: the slider, and one piece of HTML, which follows it.
    """
    last = max(len(trace) for trace in traces.values()) - 1
    slider = ipywidgets.IntSlider(value=0, max=last, description="pass")
    shown = ipywidgets.HTML()
    seats = {title: places(trace, texts) for title, trace in traces.items()}

    def show(_: object = None) -> None:
        shown.value = "".join(
            f"<b>{title}</b>{pass_html(trace, seats[title], slider.value, texts)}"
            for title, trace in traces.items()
        )

    slider.observe(show, names="value")
    show()
    return ipywidgets.VBox([slider, shown])


def pass_html(
    trace: Sequence[Passed], seats: Sequence[dict[int, int]], at: int, texts: int
) -> str:
    """One pass: a box for each place, and how many wait."""
    if at >= len(trace):
        return f"<div>all was written after {len(trace)} passes</div>"
    passed, boxes = trace[at], []
    for place in range(texts):
        request = seats[at].get(place)
        if request is None:
            says, colour = "nobody", GREY
        elif count := passed.read.get(request):
            says, colour = f"{request} reads {count}", colour_of(request)
        elif count := passed.written.get(request):
            says, colour = f"{request} writes {count}", colour_of(request)
        else:
            says, colour = f"{request} pauses", GREY
        boxes.append(
            f'<span style="background:{colour};color:white;padding:4px 8px;'
            f'margin:2px;display:inline-block;width:7em">{says}</span>'
        )
    return f"<div>{''.join(boxes)} {passed.waiting} waiting</div>"


def pass_sizes(traces: Mapping[str, Sequence[Passed]]) -> Figure:
    """Tokens of each pass, of prompts below and written ones on top."""
    figure, axes = plt.subplots(
        1, len(traces), figsize=(8.4, 2.9), sharey=True, squeeze=False
    )
    for ax, (title, trace) in zip(axes[0], traces.items(), strict=True):
        read = [sum(passed.read.values()) for passed in trace]
        written = [sum(passed.written.values()) for passed in trace]
        at = range(len(trace))
        ax.bar(at, read, color=ORANGE, width=0.85)
        ax.bar(at, written, bottom=read, color=BLUE, width=0.85)
        ax.set(title=title, xlabel="pass")
    axes[0, 0].set_ylabel("tokens in the pass")
    names = {"read of a prompt": ORANGE, "written": BLUE}
    handles = [Patch(color=colour, label=name) for name, colour in names.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, fontsize=9)
    return figure


def keys_and_values(
    k: Float[Tensor, "tokens channels"], v: Float[Tensor, "tokens channels"]
) -> Figure:
    """How large each number of one head is: a row a channel, a column a token."""
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.4))
    for ax, (name, x) in zip(axes, {"keys": k, "values": v}.items(), strict=True):
        image = ax.imshow(x.abs().T.numpy(), aspect="auto", cmap="viridis", vmin=0)
        ax.set(title=f"|{name}| of one head", xlabel="token", ylabel="channel")
        ax.grid(visible=False)
        figure.colorbar(image, ax=ax, shrink=0.9)
    return figure


def perplexity_against_bits(
    rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str]
) -> Figure:
    """A panel a text, a line a layout; dashed, the cache in full precision."""
    figure, axes = plt.subplots(1, len(titles), figsize=(8.8, 3.7), squeeze=False)
    layouts = list(dict.fromkeys((r["keys"], r["values"]) for r in rows if r["keys"]))
    for ax, (text, title) in zip(axes[0], titles.items(), strict=True):
        mine = [row for row in rows if row["text"] == text]
        (whole,) = (row["perplexity"] for row in mine if row["bits"] is None)
        for (keys, values), colour in zip(layouts, COLOURS, strict=False):
            points = sorted(
                (row["bits_per_number"], row["perplexity"])
                for row in mine
                if (row["keys"], row["values"]) == (keys, values)
            )
            label = f"keys by {keys}, values by {values}"
            ax.plot(*zip(*points, strict=True), "o-", color=colour, label=label, ms=4)
        ax.axhline(whole, color=INK, lw=1, ls="--", label="full precision")
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        ticks = [t for t in (5, 10, 15, 20, 30, 50, 100, 200) if low <= t <= high]
        ax.set_yticks(ticks, [str(tick) for tick in ticks])
        ax.minorticks_off()
        ax.set(title=title, xlabel="bits a number, with its scales and zeros")
    axes[0, 0].set_ylabel("perplexity")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8.5)
    return figure


def waits(
    panels: Mapping[str, Mapping[str, Float[np.ndarray, "seeds rates"]]],
    rates: Mapping[str, Sequence[Number]],
) -> Figure:
    """Waits against requests a second: a line a balancer, a dot a seed."""
    figure, axes = plt.subplots(1, len(panels), figsize=(8.8, 3.4), squeeze=False)
    for ax, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for (name, values), colour in zip(lines.items(), COLOURS, strict=False):
            ax.semilogy(rates[title], np.median(values, 0), color=colour, label=name)
            for row in values:
                ax.semilogy(rates[title], row, "o", color=colour, ms=3, alpha=0.5)
        ticks = [0.5, 1, 2, 5, 10, 20]
        ax.set_yticks(ticks, [str(tick) for tick in ticks])
        ax.minorticks_off()
        ax.set(title=title, xlabel="requests a second", ylim=(0.5, 30))
    axes[0, 0].set_ylabel("seconds to the first token\n(95 of 100 wait less)")
    axes[0, 0].legend(loc="upper left")
    return figure


def together(curves: Mapping[str, tuple[Sequence[Number], Sequence[Number]]]) -> Figure:
    """Time of K tokens over the time of one, on logarithmic axes."""
    figure, ax = plt.subplots(figsize=(7.6, 4.0))
    for (name, (tokens, times)), colour in zip(curves.items(), COLOURS, strict=False):
        ratio = np.asarray(times) / times[0]
        ax.loglog(tokens, ratio, "o-", color=colour, label=name, ms=3.5)
    widest = max(max(tokens) for tokens, _ in curves.values())
    ax.loglog([1, widest], [1, widest], color=GREY, lw=1, ls=":", label="one by one")
    ax.set(xlabel="tokens in one pass, K", ylabel="time over that of one token")
    ax.legend(loc="upper left", fontsize=8.5)
    return figure
