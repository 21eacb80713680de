"""SmolLM2's last block trained in fp16, by somebody's loss scaler and step.

    a try:  S · loss / PARTS                there and back: weights, inputs, outputs and
                                            gradients of seven layers in fp16
            step(master, grads, S, …)       → master, working, skipped
            scale(S, streak, skipped, …)    → S, streak

A window stands for one of PARTS equal parts of a batch, whose mean loss is what counts:
its gradients are as small as they are in a run of that size, and rate and bound make
up for the parts that are not there. It learns from King Lear, and Hamlet is held out.

Read in order: `scaled_with`, `Run`, `_Half`, `arriving_gradients`.
"""

from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache
from io import StringIO
from typing import Any

import torch
from jaxtyping import Float, Float16
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lib.data.text import read_text
from lib.exercises.trial import CHARACTERS, smollm2, windows
from lib.exercises.tuning.tail import Ready, last_blocks
from lib.models.evaluate import EvaluationProtocol
from lib.models.walk import linear_layers, replace_layer

WINDOW = 128  # tokens of a try
LEARNED = EvaluationProtocol("king-lear", tokens=4 * WINDOW, window=WINDOW)
HELD_OUT = EvaluationProtocol("hamlet", tokens=2 * WINDOW, window=WINDOW)
PARTS = 2**16  # of a batch: 8.4 million tokens
RATE, CLIP = 0.05, 1.0  # for the gradient of a whole batch
TRIES, INTERVAL = 12, 4
START, LOWEST, HIGHEST = 2.0**37, 1.0, 2.0**40  # START is too high

Step = Callable[..., tuple[list[Tensor], list[Tensor], bool]]
Scale = Callable[..., tuple[float, int]]


@dataclass(frozen=True)
class Run:
    """Held-out loss in nats a token, tries that were skipped, and the last scale."""

    before: float
    after: float
    skipped: int
    scale: float


def scaled_with(scale: Scale, step: Step, tries: int = TRIES) -> Run:
    """Train for `tries` tries; ValueError for answers that are not what is due.

    That is: float32 master weights that are finite, and a float16 working copy, both of
    the weights' shapes, and a scale that is a positive number.
    """
    with redirect_stderr(StringIO()):
        tail, layers = _in_half()
    text, counted = _text(), HELD_OUT.tokens // WINDOW
    before, skips = text.mean_loss(tail, counted), 0
    master = [w.detach().clone() for w in _weights()]
    factor, streak = START, 0
    for n in range(tries):
        tail.zero_grad()
        at = counted + n % (len(text.texts) - counted)
        (text.loss(tail, at) * (factor / PARTS)).backward()
        grads = [layer.w.grad.clone() for layer in layers]
        # what the parts that are not there would add to the sum, rate and bound do
        given = [w.clone() for w in master]
        made = step(given, grads, factor, RATE * PARTS, CLIP / PARTS)
        master, working, skipped = made
        _check("master", master, layers, torch.float32)
        _check("the working copy", working, layers, torch.float16)
        for layer, w in zip(layers, working, strict=True):
            layer.w.data.copy_(w)
        skips += bool(skipped)
        factor, streak = scale(factor, streak, skipped, INTERVAL, LOWEST, HIGHEST)
        if not 0 < factor < float("inf"):
            raise ValueError(f"the scale is {factor}, and no positive number")
    return Run(before, text.mean_loss(tail, counted), skips, factor)


class _By(torch.autograd.Function):
    """y = x wᵀ: what goes in or out, either way, is fp16; sums are float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        x = x.half()
        ctx.save_for_backward(x, w)
        return (x.float() @ w.float().T).half().float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        x, w = (saved.float() for saved in ctx.saved_tensors)
        g = g.half().float()
        by_w = g.flatten(0, -2).T @ x.flatten(0, -2)
        return (g @ w).half().float(), by_w.half()


class _Half(nn.Module):
    """A layer whose weight is fp16."""

    def __init__(self, weight: Float[Tensor, "rows cols"]) -> None:
        super().__init__()
        self.w: Float16[Tensor, "rows cols"] = nn.Parameter(weight.half())

    def forward(self, x: Tensor) -> Tensor:
        return _By.apply(x, self.w)


def arriving_gradients() -> Float[Tensor, " numbers"]:
    """∂L/∂Y at the layers of the last block, in float32, L a batch's mean; flat.

    Those of one window: for a laboratory.
    """
    found: list[Tensor] = []

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        out.register_hook(found.append)

    tail = last_blocks(1)
    for layer in linear_layers(tail.layers).values():
        layer.requires_grad_(True)
        layer.register_forward_hook(watch)
    (_text().loss(tail, HELD_OUT.tokens // WINDOW) / PARTS).backward()
    return torch.cat([g.flatten() for g in found])


def _check(name: str, made: object, layers: list[_Half], dtype: torch.dtype) -> None:
    """ValueError where `made` is no list of the layers' shapes in this dtype."""
    shapes = [tuple(layer.w.shape) for layer in layers]
    if not isinstance(made, list | tuple) or not all(
        isinstance(w, Tensor) and w.dtype == dtype for w in made
    ):
        raise ValueError(f"{name} is no list of tensors of {dtype}")
    if (of := [tuple(w.shape) for w in made]) != shapes:
        raise ValueError(f"{name} has the shapes {of}, and they should be {shapes}")
    if not all(w.isfinite().all() for w in made):
        raise ValueError(f"{name} has numbers that are not finite")


def _weights() -> list[Float[Tensor, "rows cols"]]:
    """The float32 weights of the last block's layers, as they were loaded."""
    layers = linear_layers(smollm2()[0].model.layers[-1:])
    return [layer.weight for layer in layers.values()]


def _in_half() -> tuple[nn.Module, list[_Half]]:
    """The model from its last block on, and its layers, in fp16."""
    tail, layers = last_blocks(1), []
    for name, layer in linear_layers(tail.layers).items():
        half = _Half(layer.weight)
        replace_layer(tail.layers, name, half)
        layers.append(half)
    return tail, layers


@cache
def _text() -> Ready:
    """Windows of both plays, the held-out ones first."""
    texts = torch.cat([windows(HELD_OUT), windows(LEARNED)])
    _, tokenizer = smollm2()
    longer = read_text(LEARNED.text)[: CHARACTERS * LEARNED.tokens]
    spoken = {*tokenizer(longer)["input_ids"], *texts.flatten().tolist()}
    return Ready.of(texts, torch.tensor(sorted(spoken)), 1)
