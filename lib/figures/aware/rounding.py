"""Figures of lecture 08: a staircase and its slopes, an error by its step."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from lib.figures.theme import BLUE, GREEN, GREY, INK, ORANGE, PINK
from lib.quant.aware.lsq import lsq


def staircase(scale: float, low: int, high: int, reach: float = 1.6) -> Figure:
    """ŵ of a weight, and what `lsq` says of its slopes by w and by s."""
    limit = reach * scale * max(-low, high)
    w = torch.linspace(-limit, limit, 801)
    leaf = w[:, None].clone().requires_grad_()
    s = torch.full_like(leaf, scale).requires_grad_()
    w_hat = lsq(leaf, s, torch.zeros_like(leaf), low, high)
    w_hat.sum().backward()
    figure, axes = plt.subplots(1, 3, figsize=(7.6, 2.6))
    curves = (w_hat.detach(), leaf.grad, s.grad)
    titles = r"$\hat w$", r"$\partial\hat w/\partial w$", r"$\partial\hat w/\partial s$"
    for ax, y, title, colour in zip(
        axes, curves, titles, (BLUE, ORANGE, GREEN), strict=True
    ):
        ax.plot(w, y[:, 0], color=colour)
        ax.set(title=title, xlabel="w")
    axes[0].plot(w, w.clamp(low * scale, high * scale), color=ORANGE, lw=1, ls="--")
    axes[0].text(0, high * scale, "clip", color=ORANGE, ha="right", va="top")
    axes[1].set_ylim(-0.1, 1.2)
    return figure


def error_by_step(
    steps: Float[Tensor, " n"],
    error: Float[Tensor, " n"],
    slope: Float[Tensor, " n"],
    marks: Mapping[str, float],
) -> Figure:
    """The error of rounding by the step, its estimated slope below, and some steps."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 3.9), sharex=True)
    top.plot(steps, error, color=BLUE)
    bottom.plot(steps, slope, color=GREEN, label="straight through")
    true = torch.gradient(error, spacing=(steps,))[0]
    bottom.plot(
        steps[1:-1], true[1:-1], color=GREY, lw=1, label="differences of the error"
    )
    bottom.axhline(0, color=INK, lw=0.6)
    for (name, step), colour in zip(marks.items(), (ORANGE, GREEN, PINK), strict=False):
        for ax in (top, bottom):
            ax.axvline(step, color=colour, lw=1, ls="--")
        top.plot([], [], color=colour, ls="--", lw=1, label=name)
    top.set(ylabel=r"$\sum(\hat w-w)^2$")
    bottom.set(ylabel="slope by s", xlabel="step s")
    top.legend(loc="upper center", bbox_to_anchor=(0.62, 1.0), fontsize=8)
    bottom.legend(loc="lower right", fontsize=8)
    return figure
