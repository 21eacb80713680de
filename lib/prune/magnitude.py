"""Magnitude pruning: the smallest weights go; in one cut, or a few at a time.

    s_ij = |w_ij|            compared within a layer, or over all layers at once
    s_t = ⌊t / T⌋ · p        the slides' schedule: p = 5 % more every T = 1000 steps
    s_t = s_f + (s_i − s_f) (1 − (t − t_0)/(t_1 − t_0))³       the cubic schedule

Training moves what was cut: a momentum goes on pushing a weight whose gradient is
masked. `Masks` therefore clears the weights after every step of the optimizer.

Guarantees: a mask has the asked number of weights, equals decided for the earlier one
(of several layers: the earlier layer's); what was dropped stays dropped.

Read in order: `Magnitude`, `kept_globally`, `global_magnitude`, `staircase`, `cubic`,
`Masks`.  Taught in notebooks/11.
Source: Han et al. 2015, arXiv:1506.02626; See et al. 2016, arXiv:1606.09274; the cubic
schedule: Zhu & Gupta 2017, arXiv:1710.01878, section 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lib.prune.masks import kept_best, kept_by, kept_count
from lib.prune.method import Pruner
from lib.quant.hessian import Hessian
from lib.quant.method import PerLayer


@dataclass(frozen=True)
class Magnitude(Pruner):
    """Settings: the smallest of the layer go, or with `per_row` those of each row."""

    per_row: bool = False

    @property
    def calibrated(self) -> bool:
        """Magnitude needs no text; a refit does."""
        return self.refit

    def kept(self, w: Tensor, inputs: Hessian | None) -> Bool[Tensor, "rows cols"]:
        """The largest |w|."""
        return kept_by(w.abs(), self.pattern, per_row=self.per_row)


def kept_globally(
    scores: Mapping[str, Float[Tensor, "..."]], sparsity: float | Fraction
) -> dict[str, Bool[Tensor, "..."]]:
    """The best of all layers together, all but ⌊weights · sparsity⌋, as masks by name.

    Leave the output layer out of `scores` where it is small: its weights would be
    compared with others that mean something else. ValueError for no layers, a share
    outside [0, 1], and NaN.
    """
    if not scores:
        raise ValueError("0 layers were given to compare")
    flat = torch.cat([score.flatten() for score in scores.values()])
    kept = kept_best(flat, kept_count(len(flat), sparsity))
    parts = kept.split([score.numel() for score in scores.values()])
    return {
        name: part.view(score.shape)
        for (name, score), part in zip(scores.items(), parts, strict=True)
    }


def global_magnitude(
    weights: Mapping[str, Float[Tensor, "rows cols"]],
    sparsity: float | Fraction,
    *,
    dtype: str = "float16",
) -> PerLayer:
    """The method that drops the smallest of all `weights`: a share for every layer.

    Within its layer a weight ranks as among all, so the layers' own counts give the
    same masks as `kept_globally`; raises as it.
    """
    masks = kept_globally({n: w.abs() for n, w in weights.items()}, sparsity)
    return PerLayer(
        {
            name: Magnitude(
                Fraction(mask.numel() - int(mask.sum()), mask.numel()), dtype=dtype
            )
            for name, mask in masks.items()
        }
    )


def kept_blocks(
    score: Float[Tensor, "rows cols"], sparsity: float, *, block: int
) -> Bool[Tensor, "rows cols"]:
    """The block × block tiles with the largest Σ score², whole; for `BlockSparse`.

    ValueError where `block` does not divide both sides.
    """
    if score.shape[0] % block or score.shape[1] % block:
        raise ValueError(f"block={block} does not divide {tuple(score.shape)}")
    tiles = score.square().unflatten(1, (-1, block)).unflatten(0, (-1, block))
    kept = kept_by(tiles.sum((1, 3)), sparsity, per_row=False)
    return kept.repeat_interleave(block, 0).repeat_interleave(block, 1)


def staircase(
    step: int, *, every: int = 1000, share: float = 0.05, final: float = 0.8
) -> float:
    """`share` more of all weights every `every` steps, up to `final`.

    ValueError for an `every` below 1 and shares outside [0, 1].
    """
    if every < 1 or not 0 <= share <= 1 or not 0 <= final <= 1:
        raise ValueError(f"every={every}, share={share}, final={final}")
    return min(step // every * share, final)


def cubic(
    step: int, *, begin: int, end: int, final: float, initial: float = 0.0
) -> float:
    """Fast while there is much to drop, slow at the end: from `initial` to `final`.

    ValueError unless begin < end, and for shares outside [0, 1].
    """
    if begin >= end or not 0 <= initial <= 1 or not 0 <= final <= 1:
        raise ValueError(f"begin={begin}, end={end}, from {initial} to {final}")
    done = min(max((step - begin) / (end - begin), 0.0), 1.0)
    return final + (initial - final) * (1 - done) ** 3


class Masks:
    """Parameters that are being pruned, and what stays of each.

    masks = Masks({"hidden": net.hidden.weight})
    masks.follow(optimizer)          # from now on, every step ends with the masks
    masks.prune_to(0.8)              # as often as a schedule says

    `scope` is "layer" or "global". ValueError for another scope.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], *, scope: str = "layer"
    ) -> None:
        if scope not in ("layer", "global"):
            raise ValueError(f"scope={scope!r} is not 'layer' or 'global'")
        self.parameters, self.scope = dict(parameters), scope
        self.kept = {
            name: torch.ones_like(p, dtype=torch.bool) for name, p in parameters.items()
        }

    def prune_to(self, sparsity: float | Fraction) -> None:
        """Drop until this share is gone; ValueError where more is gone already."""
        scores = {  # what is gone ranks below a kept weight that happens to be 0
            name: torch.where(self.kept[name], p.detach().abs(), -1)
            for name, p in self.parameters.items()
        }
        if self.scope == "global":
            kept = kept_globally(scores, sparsity)
        else:
            kept = {
                name: kept_best(s, kept_count(s.numel(), sparsity))
                for name, s in scores.items()
            }
        for name, mask in kept.items():
            if revived := int((mask & ~self.kept[name]).sum()):
                raise ValueError(
                    f"{name} is sparser than {float(sparsity):.3f} already: "
                    f"{revived} dropped weights would return"
                )
        self.kept = kept
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Set what was dropped to 0."""
        for name, p in self.parameters.items():
            p.masked_fill_(~self.kept[name], 0)

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Apply the masks after each step of `optimizer`."""
        optimizer.register_step_post_hook(lambda *_: self.apply())

    @property
    def sparsity(self) -> float:
        """The share of weights that is gone."""
        total = sum(mask.numel() for mask in self.kept.values())
        return 1 - sum(int(mask.sum()) for mask in self.kept.values()) / total
