"""Coarse masks times fine ones, and a Lagrangian that brings the model to a size.

    head h of layer l      z_l^attention · z_lh^head
    neuron j of layer l    z_l^feed · z_lj^neuron
    channel k of the stream          z_k^channel         one for all layers

    loss + λ₁ g + λ₂ g²,    g = E[size] / full size − target
    descent in the gates, ascent in λ:   λ₁ ← λ₁ + η g,   λ₂ ← λ₂ + η g²

A coarse mask drops half a layer at one stroke, which fine ones can do only together; a
fine one trims what stays. Gates are independent, so the probability of a product is the
product of probabilities, and the expected size is exact, no estimate. Queries and
outputs go with their head; keys and values go when every head that reads them is gone,
which has the probability Π (1 − p_h). Every matrix has the channels on one side, so the
expected number of open ones multiplies all the rest.

The gap has a sign. λ₁ rises while the model is too big and falls while it is too small,
to below 0 if need be: it comes to rest only where g = 0. A fixed λ gives some size.

While masks are learned, the paper distils layers, too: lib/distill/intermediate.py.

Read in order: `Shape`, `expected_weights`, `CoarseFine`, `Lagrangian`.
Source: Xia, Zhong & Chen 2022, arXiv:2204.00408, sections 3.1 and 3.2; the Lagrangian:
Wang et al. 2020, arXiv:1910.04732.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lib.prune.structured.hard_concrete import HardConcrete


@dataclass(frozen=True)
class Shape:
    """What a Llama-shaped model is made of; ValueError unless groups divide heads."""

    layers: int
    heads: int  # of queries, in a layer
    groups: int  # of queries that share keys and values
    neurons: int
    hidden: int
    head_dim: int

    def __post_init__(self) -> None:
        """Refuse what no model has."""
        if min(vars(self).values()) < 1 or self.heads % self.groups:
            raise ValueError(f"{self}: positive numbers, and whole groups of heads")

    @property
    def full(self) -> int:
        """Weights of all layers' matrices; embeddings and norms are not counted."""
        attention = 2 * (self.heads + self.groups) * self.head_dim
        return self.layers * self.hidden * (attention + 3 * self.neurons)


def expected_weights(
    shape: Shape,
    *,
    attention: Float[Tensor, " layers"],
    feed: Float[Tensor, " layers"],
    heads: Float[Tensor, "layers heads"],
    neurons: Float[Tensor, "layers neurons"],
    channels: Float[Tensor, " hidden"] | None = None,
) -> Float[Tensor, ""]:
    """The expected number of weights, of independent gates that are open with these p.

    Differentiable; for p of 0 and 1 it is the count of a model that was cut so. Without
    `channels` all of them stay. ValueError for masks of another shape.
    """
    given = {attention.shape, feed.shape}, heads.shape, neurons.shape
    wide = (shape.layers, shape.heads), (shape.layers, shape.neurons)
    if given != ({(shape.layers,)}, *wide):
        raise ValueError(f"masks of shapes {given} for {shape}")
    if channels is not None and channels.shape != (shape.hidden,):
        raise ValueError(f"a mask of shape {tuple(channels.shape)} for {shape}")
    stream = shape.hidden if channels is None else channels.sum()
    queries = heads.sum(1)
    keys = (1 - (1 - heads.unflatten(1, (shape.groups, -1))).prod(-1)).sum(1)
    mixing = 2 * shape.head_dim * (attention * (queries + keys)).sum()
    return stream * (mixing + 3 * (feed * neurons.sum(1)).sum())


class CoarseFine:
    """The kinds of gates, by their log α, which all begin at `start`.

    Four, and with `channels` a fifth: then masks name it beside `heads` and `neurons`.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        gate: HardConcrete | None = None,
        start: float = 4.0,
        channels: bool = False,
    ) -> None:
        self.shape, self.gate = shape, gate or HardConcrete()
        sizes = {
            "attention": (shape.layers,),
            "feed": (shape.layers,),
            "heads": (shape.layers, shape.heads),
            "neurons": (shape.layers, shape.neurons),
        } | ({"channels": (shape.hidden,)} if channels else {})
        self.log_alpha = {
            name: torch.full(size, float(start), requires_grad=True)
            for name, size in sizes.items()
        }

    def sample(self, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Random products for one step, as `gated` (lib/models/structure) takes them.

        One draw serves the whole batch, as a model has one size.
        """
        gates = {}
        for name, a in self.log_alpha.items():
            u = torch.rand(a.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
            gates[name] = self.gate.sample(a, u)
        return self._products(gates)

    def expected_share(self) -> Float[Tensor, ""]:
        """E[size] over the full size: what the Lagrangian pulls at."""
        return expected_weights(self.shape, **self._open()) / self.shape.full

    @torch.no_grad()
    def to_size(self, share: float) -> dict[str, Tensor]:
        """Masks of 0 and 1: as much as fits, of the most probable products first.

        What training expects is not what a threshold leaves (hard_concrete.py), so the
        size is met here, by a search. ValueError for a share outside (0, 1].
        """
        if not 0 < share <= 1:
            raise ValueError(f"share={share} must lie in (0, 1]")
        products = self._products(self._open())
        levels = torch.cat([p.flatten() for p in products.values()]).unique()
        few, many = 0, len(levels)  # levels[many:], that is nothing, always fits
        while few < many:
            middle = (few + many) // 2
            masks = {name: p >= levels[middle] for name, p in products.items()}
            if weights_of(self.shape, **masks) <= share * self.shape.full:
                many = middle
            else:
                few = middle + 1
        bar = levels[many] if many < len(levels) else torch.inf
        return {name: (p >= bar).float() for name, p in products.items()}

    def _open(self) -> dict[str, Tensor]:
        """P(z ≠ 0) of each gate."""
        gates = self.log_alpha.items()
        return {name: self.gate.open_probability(a) for name, a in gates}

    @staticmethod
    def _products(gates: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            "heads": gates["attention"][:, None] * gates["heads"],
            "neurons": gates["feed"][:, None] * gates["neurons"],
        } | {name: gates[name] for name in ("channels",) if name in gates}


def weights_of(shape: Shape, **masks: Tensor) -> int:
    """The count of a model whose heads, neurons and channels are those that are not 0.

    `masks` are as `CoarseFine.sample` names them. ValueError as `expected_weights`.
    """
    ones = torch.ones(shape.layers, dtype=torch.float64)
    hard = {name: (mask != 0).double() for name, mask in masks.items()}
    return int(expected_weights(shape, attention=ones, feed=ones, **hard))


class Lagrangian:
    """λ₁ and λ₂ from 0, and the target that they pull to.

    ValueError for a target outside (0, 1), and for a rate that is not positive.
    """

    def __init__(self, target: float, *, rate: float) -> None:
        if not (0 < target < 1 and rate > 0):
            raise ValueError(f"target={target} of (0, 1), rate={rate} above 0")
        self.target, self.rate = target, rate
        self.first = self.second = 0.0

    def penalty(self, share: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """λ₁ g + λ₂ g²: the descent's half."""
        gap = share - self.target
        return self.first * gap + self.second * gap.square()

    def ascend(self, share: float) -> None:
        """λ along its own gradient: the gap, signed, and its square."""
        gap = share - self.target
        self.first += self.rate * gap
        self.second += self.rate * gap**2
