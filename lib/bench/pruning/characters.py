"""A net that trains in seconds: the next character of a play, from the eight before it.

    eight characters → 6 numbers each → 48 → 512 → 256 → 64 logits      (ReLU between)

It is *wide* for its task, and that is the point: 40 % of it is free because of that.
Parameters are a dictionary, so that lib/prune/lottery.py can rewind them. Learned on
the calibration plays, measured in nats a character on *The Tempest*.

Read in order: `texts`, `start`, `logits`, `train`, `nats`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from lib.data.text import CALIBRATION, play
from lib.prune.magnitude import Masks

CONTEXT, WIDTHS, ALPHABET = 8, (48, 512, 256, 64), 64
PRUNED = ["w1", "w2"]  # the small output layer is left alone, as the papers do
BATCH, RATE = 128, 2e-3
Weights = Mapping[str, Tensor]
Forward = Callable[[Weights, Tensor], Tensor]  # (parameters, windows) -> logits


@cache
def texts() -> tuple[Int[Tensor, " train"], Int[Tensor, " test"]]:
    """Codes of the training plays and of *The Tempest*: rare characters share one."""
    train, test = "".join(play(name) for name in CALIBRATION), play("the-tempest")
    frequent = [c for c, _ in Counter(train).most_common(ALPHABET - 1)]
    code = {c: i for i, c in enumerate(frequent)}
    return tuple(
        torch.tensor([code.get(c, ALPHABET - 1) for c in text])
        for text in (train, test)
    )


def start(seed: int, widths: Sequence[int] = WIDTHS) -> dict[str, Tensor]:
    """Random parameters, He-scaled."""
    draw = torch.Generator().manual_seed(seed)
    weights = {"embedding": torch.randn(ALPHABET, 6, generator=draw)}
    for i, (cols, rows) in enumerate(pairwise(widths), 1):
        w = torch.randn(rows, cols, generator=draw)
        weights |= {f"w{i}": w * (2 / cols) ** 0.5, f"b{i}": torch.zeros(rows)}
    return weights


def logits(
    net: Weights, x: Int[Tensor, "batch context"]
) -> Float[Tensor, "batch alphabet"]:
    """The net."""
    h = net["embedding"][x].flatten(1)
    h = (h @ net["w1"].T + net["b1"]).relu()
    h = (h @ net["w2"].T + net["b2"]).relu()
    return h @ net["w3"].T + net["b3"]


def train(
    net: Weights,
    *,
    steps: int,
    seed: int,
    rate: float = RATE,
    kept: Mapping[str, Tensor] | None = None,
    forward: Forward = logits,
    loss: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    each: Callable[[int, dict[str, Tensor], torch.optim.Optimizer], None] | None = None,
) -> dict[str, Tensor]:
    """Adam on random windows, the rate falling to 0; `net` itself is left as it was.

    `kept` are fixed masks; `forward` may see other weights than those that learn;
    `loss(logits, windows, labels)` takes the place of labels' cross-entropy;
    `each(step, parameters, optimizer)` may do more, before every step.
    """
    text, draw = texts()[0], torch.Generator().manual_seed(seed)
    net = {name: w.detach().clone().requires_grad_() for name, w in net.items()}
    optimizer = torch.optim.Adam(net.values(), lr=rate)
    if kept is not None:
        masks = Masks({name: net[name] for name in kept})
        masks.kept = dict(kept)
        masks.apply()
        masks.follow(optimizer)
    offsets = torch.arange(CONTEXT + 1)
    for step in range(steps):
        if each is not None:
            each(step, net, optimizer)
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        at = torch.randint(len(text) - CONTEXT, (BATCH, 1), generator=draw)
        window = text[at + offsets]
        x, labels = window[:, :-1], window[:, -1]
        guess = forward(net, x)
        optimizer.zero_grad()
        (loss(guess, x, labels) if loss else cross_entropy(guess, labels)).backward()
        optimizer.step()
    return {name: w.detach() for name, w in net.items()}


@torch.no_grad()
def nats(net: Weights, count: int = 8192, forward: Forward = logits) -> float:
    """Mean loss on `count` places of the test play, in nats a character."""
    text = texts()[1]
    at = torch.linspace(0, len(text) - CONTEXT - 1, count).long()[:, None]
    window = text[at + torch.arange(CONTEXT + 1)]
    return cross_entropy(forward(net, window[:, :-1]), window[:, -1]).item()
