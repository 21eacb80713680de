"""SmolLM2's last blocks in four bits, fine-tuned by somebody's forward and backward.

    step:  y = forward(x, frozen, A, B, α)          in each adapted layer
           backward(g, x, frozen, A, B, α)          → ∂L/∂x, ∂L/∂A, ∂L/∂B
           A, B ← Adam                              torch's own

The text is Python's help.

Read in order: `tuned_with`, `Frozen`, `_By`, `_adapted`.
"""

from collections.abc import Callable
from contextlib import redirect_stderr
from functools import cache
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lib.data.text import python_docs, token_windows
from lib.exercises.trial import smollm2
from lib.exercises.tuning.tail import Ready, last_blocks
from lib.models.walk import linear_layers, replace_layer

BLOCKS, WINDOW = 2, 128  # blocks that learn, and tokens of a step
LEARNED, HELD_OUT = 4, 3  # windows
STEPS, RATE = 8, 2e-3
RANK, ALPHA = 8, 16
CHARACTERS = 20_000  # of the help, whose tokens are spoken

Frozen = dict[str, Any]  # the parts that exercise 3 puts together
Forward = Callable[[Tensor, Frozen, Tensor, Tensor, float], Tensor]
Backward = Callable[..., tuple[Tensor, Tensor, Tensor]]


def tuned_with(
    forward: Forward, backward: Backward, steps: int = STEPS
) -> tuple[float, float]:
    """Loss on held-out help before any step and after `steps`, in nats a token.

    Each adapter begins with B = 0. ValueError where an answer has another shape than is
    due, or a number that is not finite.
    """
    with torch.random.fork_rng(), redirect_stderr(StringIO()):
        torch.manual_seed(0)
        tail, layers = _adapted(forward, backward)
    learned = [p for layer in layers for p in (layer.A, layer.B)]
    optimizer = torch.optim.Adam(learned, RATE)
    text = _text()
    before = text.mean_loss(tail, HELD_OUT)
    for step in range(steps):
        text.loss(tail, HELD_OUT + step % LEARNED).backward()
        optimizer.step()
        optimizer.zero_grad()
    return before, text.mean_loss(tail, HELD_OUT)


class _By(torch.autograd.Function):
    """One adapted layer, both ways by somebody's functions."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, A: Tensor, B: Tensor, layer: "_Layer") -> Tensor:
        ctx.save_for_backward(x, A, B)
        ctx.layer = layer
        rows = x.flatten(0, -2)
        y = layer.forward_by(rows.clone(), layer.frozen, A.clone(), B.clone(), ALPHA)
        _check("y", y, (len(rows), len(B)))
        return y.to(x).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, A, B = ctx.saved_tensors
        rows, by_y = x.flatten(0, -2), g.flatten(0, -2)
        given = (by_y.clone(), rows.clone(), ctx.layer.frozen, A.clone(), B.clone())
        by_x, by_A, by_B = ctx.layer.backward_by(*given, ALPHA)
        for name, made, of in (("x", by_x, rows), ("A", by_A, A), ("B", by_B, B)):
            _check(f"the gradient of {name}", made, of.shape)
        return by_x.to(x).view_as(x), by_A.to(A), by_B.to(B), None


class _Layer(nn.Module):
    """A frozen layer in codes, and its A and B."""

    def __init__(
        self, weight: Tensor, frozen: Frozen, forward: Forward, backward: Backward
    ) -> None:
        super().__init__()
        rows, cols = weight.shape
        self.A = nn.Parameter(torch.empty(RANK, cols).uniform_(-1, 1) / cols**0.5)
        self.B = nn.Parameter(torch.zeros(rows, RANK))
        self.frozen = frozen
        self.forward_by, self.backward_by = forward, backward

    def forward(self, x: Tensor) -> Tensor:
        return _By.apply(x, self.A, self.B, self)


def _check(name: str, made: object, shape: tuple[int, ...]) -> None:
    if not isinstance(made, Tensor) or made.shape != tuple(shape):
        of = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        raise ValueError(f"{name} is {of}, and it should be {tuple(shape)}")
    if not made.isfinite().all():
        raise ValueError(f"{name} has numbers that are not finite")


@cache
def _text() -> Ready:
    """Windows of the help, the held-out ones first."""
    count, text = LEARNED + HELD_OUT, python_docs()[:CHARACTERS]
    _, tokenizer = smollm2()
    texts = token_windows(text, tokenizer, window=WINDOW, tokens=count * WINDOW)
    spoken = torch.tensor(sorted({*tokenizer(text)["input_ids"]}))
    return Ready.of(texts, spoken, BLOCKS)


@cache
def _frozen() -> dict[str, Frozen]:
    """The last blocks' layers in NF4 with double quantization, as plain data."""
    # here, so that a student's process may import this file where lib.quant is withheld
    from lib.quant.codebooks import double, normal_float

    blocks = smollm2()[0].model.layers[-BLOCKS:]
    made = {}
    for name, layer in linear_layers(blocks).items():
        held = normal_float.quantize_4bit(layer.weight.detach(), double=True)
        made[name] = {
            "shape": tuple(held.shape),
            "block": held.block,
            "nested": held.scales.block,
            "packed": held.packed,
            "levels": normal_float.normal_float_levels(),
            "c2": held.scales.codes,
            "levels2": double.dynamic_levels(),
            "c1": held.scales.scales,
            "mean": held.scales.mean,
        }
    return made


def _adapted(forward: Forward, backward: Backward) -> tuple[nn.Module, list[_Layer]]:
    """The model from its last blocks on, and the adapted layers in it."""
    tail, layers = last_blocks(BLOCKS), []
    for name, layer in linear_layers(tail.layers).items():
        adapted = _Layer(layer.weight, _frozen()[name], forward, backward)
        replace_layer(tail.layers, name, adapted)
        layers.append(adapted)
    return tail, layers
