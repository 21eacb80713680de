"""The lottery ticket: a sparse part of a net that trains as well as the whole did.

    train θ_0 → θ_T;   keep = the largest |θ_T| of each layer;   train keep ∘ θ_0 again

The claim is that mask and start belong together. Two controls tell: the same mask from
another start, and a random mask of the same size from the same start.

A net is a dictionary of its parameters by name; the masks are of those that are pruned.
The small output layer is best left out, or pruned half as fast, as the paper does.

Read in order: `ticket`, `rewound`, `shuffled`, `iterative_ticket`.  Taught in
notebooks/11.
Source: Frankle & Carbin 2019, arXiv:1803.03635, sections 1 and 2.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lib.prune.masks import kept_best, kept_count

Weights = Mapping[str, Float[Tensor, "..."]]
Kept = Mapping[str, Bool[Tensor, "..."]]


def ticket(trained: Weights, sparsity: float, names: list[str]) -> Kept:
    """What stays of each layer in `names`: its largest trained weights.

    ValueError for a name that is not there, and as `kept_best`.
    """
    if missing := [name for name in names if name not in trained]:
        raise ValueError(f"no parameters {missing}; there are: {sorted(trained)}")
    return {
        name: kept_best(
            trained[name].abs(), kept_count(trained[name].numel(), sparsity)
        )
        for name in names
    }


def rewound(start: Weights, kept: Kept) -> dict[str, Tensor]:
    """keep ∘ θ_0: copies of `start` with zeros where nothing is kept.

    With another `start` this is the control of re-initialization.
    """
    return {
        name: torch.where(kept[name], w, 0) if name in kept else w.clone()
        for name, w in start.items()
    }


def shuffled(kept: Kept, generator: torch.Generator) -> Kept:
    """Random masks of the same size, layer by layer: the other control."""
    return {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=generator)].view(
            mask.shape
        )
        for name, mask in kept.items()
    }


def iterative_ticket(
    start: Weights,
    train: Callable[[Weights, Kept], Weights],
    names: list[str],
    *,
    final: float,
    rounds: int,
) -> Kept:
    """Train, drop a share of what is left, rewind; `rounds` times, to sparsity `final`.

    `train(weights, kept)` returns trained weights, zero where nothing is kept. Every
    round drops the same share of what is left, 1 − (1 − final)^(1/rounds). ValueError
    for no rounds, and as `ticket`.
    """
    if rounds < 1:
        raise ValueError(f"rounds={rounds} must be at least 1")
    kept: Kept = {
        name: torch.ones_like(start[name], dtype=torch.bool) for name in names
    }
    for done in range(1, rounds + 1):
        trained = train(rewound(start, kept), kept)
        sparsity = final if done == rounds else 1 - (1 - final) ** (done / rounds)
        live = {  # what is gone ranks below a kept weight that is 0
            name: torch.where(kept[name], trained[name].abs(), -1) for name in names
        }
        kept = {
            name: kept_best(score, kept_count(score.numel(), sparsity))
            for name, score in live.items()
        }
    return kept
