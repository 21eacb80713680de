"""Small GPTs that train side by side, one a seed, all of them in one batched product.

    norm before   h ← h + f(norm(h))      f: attention, then W_2 gelu(W_1 ·)
    norm after    h ← norm(h + f(h))      as in 2017; without a warm-up a gamble

Every parameter has a first axis for the seeds, and no operation mixes two of them: a
seed that becomes NaN stays alone with it. A seed draws its start and its batches from
generators of its own, so that it is the same run in whatever company.

The task: the next letter of the calibration plays. Norms have no parameters; letters in
and out have a matrix each, and the last one starts at 0 (so the first loss is ln V).

Read in order: `Shape`, `start`, `logits`, `letter_losses`, `batches`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import (
    cross_entropy,
    gelu,
    layer_norm,
    one_hot,
    scaled_dot_product_attention,
)

from lib.bench.pruning.characters import ALPHABET, texts

Net = dict[str, Tensor]
Linear = Callable[[Tensor, Tensor], Tensor]  # (seeds, n, in), (seeds, out, in) → y


@dataclass(frozen=True)
class Shape:
    """Width, blocks, heads, letters seen, and whether norms come after the sum.

    ValueError where heads do not divide the width.
    """

    width: int = 64
    blocks: int = 3
    heads: int = 4
    window: int = 64
    after: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no model."""
        if min(self.width, self.blocks, self.heads, self.window) < 1:
            raise ValueError(f"{self}: each is 1 or more")
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide {self.width} channels")


def plain(
    x: Float[Tensor, "seeds n in"], w: Float[Tensor, "seeds out in"]
) -> Float[Tensor, "seeds n out"]:
    """Y = X Wᵀ of every seed."""
    return x @ w.mT


def start(shape: Shape, seeds: Sequence[int]) -> Net:
    """Normal weights of deviation 0.02, those into the residual over √(2 blocks)."""
    nets = [_one(shape, seed) for seed in seeds]
    return {name: torch.stack([net[name] for net in nets]) for name in nets[0]}


def _one(shape: Shape, seed: int) -> Net:
    draw = torch.Generator().manual_seed(seed)
    width, residual = shape.width, 0.02 / math.sqrt(2 * shape.blocks)
    net = {
        "letters": 0.02 * torch.randn(width, ALPHABET, generator=draw),
        "places": 0.02 * torch.randn(shape.window, width, generator=draw),
        "head": torch.zeros(ALPHABET, width),
    }
    for block in range(shape.blocks):
        sizes = {
            "qkv": (3 * width, width, 0.02),
            "out": (width, width, residual),
            "up": (4 * width, width, 0.02),
            "down": (width, 4 * width, residual),
        }
        for name, (rows, cols, deviation) in sizes.items():
            w = deviation * torch.randn(rows, cols, generator=draw)
            net[f"{block}.{name}"] = w
    return net


def logits(
    net: Net,
    ids: Int[Tensor, "seeds batch window"],
    shape: Shape,
    linear: Linear = plain,
    ends: Linear = plain,
) -> Float[Tensor, "seeds n letters"]:
    """Of every place; `linear` multiplies in the blocks, `ends` before and after."""
    _, batch, window = ids.shape
    one = one_hot(ids.flatten(1), ALPHABET).to(net["letters"].dtype)
    h = ends(one, net["letters"])  # (seeds, batch · window, width)
    h = h + net["places"][:, :window].repeat(1, batch, 1)
    for block in range(shape.blocks):
        for part in (_attention, _feed_forward):
            if shape.after:
                h = _norm(h + part(net, block, h, ids.shape, shape.heads, linear))
            else:
                h = h + part(net, block, _norm(h), ids.shape, shape.heads, linear)
    return ends(h if shape.after else _norm(h), net["head"])


def _attention(
    net: Net, block: int, h: Tensor, size: torch.Size, heads: int, linear: Linear
) -> Tensor:
    """Of each run of letters, causal."""
    seeds, batch, window = size
    qkv = linear(h, net[f"{block}.qkv"])
    qkv = qkv.view(seeds * batch, window, 3, heads, -1).permute(2, 0, 3, 1, 4)
    mixed = scaled_dot_product_attention(*qkv, is_causal=True)
    mixed = mixed.transpose(1, 2).reshape(seeds, batch * window, -1)
    return linear(mixed, net[f"{block}.out"])


def _feed_forward(
    net: Net, block: int, h: Tensor, size: torch.Size, heads: int, linear: Linear
) -> Tensor:
    """Of each letter."""
    return linear(gelu(linear(h, net[f"{block}.up"])), net[f"{block}.down"])


def _norm(h: Tensor) -> Tensor:
    return layer_norm(h, h.shape[-1:])


def letter_losses(
    net: Net,
    runs: Int[Tensor, "seeds batch run"],
    shape: Shape,
    linear: Linear = plain,
    ends: Linear = plain,
) -> Float[Tensor, " seeds"]:
    """Mean nats a letter of each seed on runs of window + 1 letters."""
    guess = logits(net, runs[..., :-1], shape, linear, ends).float()
    labels = runs[..., 1:].flatten(1)
    each = cross_entropy(guess.mT, labels, reduction="none")
    return each.mean(1)


def batches(
    seeds: Sequence[int], shape: Shape, *, steps: int, batch: int
) -> Int[Tensor, "seeds steps batch"]:
    """Where each seed's runs begin in the text, drawn from the seed alone."""
    last = len(texts()[0]) - shape.window - 1
    return torch.stack(
        [
            torch.randint(
                last, (steps, batch), generator=torch.Generator().manual_seed(~seed)
            )
            for seed in seeds
        ]
    )


def held_out(shape: Shape, count: int) -> Int[Tensor, "count run"]:
    """Runs of *The Tempest*, evenly spread."""
    text = texts()[1]
    at = torch.linspace(0, len(text) - shape.window - 1, count).long()[:, None]
    return text[at + torch.arange(shape.window + 1)]
