"""What a neuron, a channel or a layer is worth, from one look at activations.

    neuron, channel j:   F_j = ‖ (mean_s |x_bsj|)_b ‖₂       a mean over the tokens of a
                                                             sequence, L2 over sequences
    layer l:             BI_l = 1 − E[ cos(h_l, h_{l+1}) ]   h before it and after it

x is what the *next* matrix reads: the inputs of `down_proj` for neurons, those of
`o_proj` for the channels of heads, a norm's output for the width of the model. No
gradient is needed. A layer that turns the stream little has a low block influence, and
says nothing about its neighbours: which layers can go *together* is another question.

Read in order: `Importance`, `BlockInfluence`, `kept_of`, `gates_of`,
`kept_in_groups`.
Source: Muralidharan et al. 2024, "Minitron", arXiv:2407.14679, section 2; block
influence: Men et al. 2024, "ShortGPT", arXiv:2403.03853.
"""

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor


class Importance:
    """F of every channel, summed up over batches of sequences."""

    def __init__(self, channels: int) -> None:
        self.squares = torch.zeros(channels, dtype=torch.float64)
        self.sequences = 0

    def add(self, x: Float[Tensor, "batch tokens channels"]) -> None:
        """Take a batch of whole sequences into account; ValueError for none."""
        if not x.numel():
            raise ValueError(f"x of shape {tuple(x.shape)} has no tokens")
        means = x.detach().abs().mean(1, dtype=torch.float64)
        self.squares += means.square().sum(0).cpu()
        self.sequences += len(x)

    @property
    def score(self) -> Float64[Tensor, " channels"]:
        """F so far; ValueError before any sequence."""
        if not self.sequences:
            raise ValueError("no sequence has been added")
        return self.squares.sqrt()


class BlockInfluence:
    """BI of one layer, averaged over all tokens that it has seen."""

    def __init__(self) -> None:
        self.cosines, self.tokens = 0.0, 0

    def add(
        self, before: Float[Tensor, "... hidden"], after: Float[Tensor, "... hidden"]
    ) -> None:
        """Take the stream before and after the layer into account.

        ValueError for two shapes, and for a token whose stream is zero.
        """
        if before.shape != after.shape:
            raise ValueError(
                f"{tuple(before.shape)} before, {tuple(after.shape)} after"
            )
        a, b = before.detach().double(), after.detach().double()
        lengths = a.norm(dim=-1) * b.norm(dim=-1)
        if not (lengths > 0).all():
            raise ValueError("the stream of a token is zero: it has no direction")
        self.cosines += ((a * b).sum(-1) / lengths).sum().item()
        self.tokens += lengths.numel()

    @property
    def score(self) -> float:
        """1 − the mean cosine, from 0 to 2; ValueError before any token."""
        if not self.tokens:
            raise ValueError("no token has been added")
        return 1 - self.cosines / self.tokens


def kept_of(score: Float[Tensor, " parts"], count: int) -> Int[Tensor, " count"]:
    """The `count` best, in their own order; of equals the earlier.

    ValueError for a count outside 1 to all, and for scores that are NaN.
    """
    if not 1 <= count <= len(score):
        raise ValueError(f"count={count} of {len(score)} parts")
    if score.isnan().any():
        raise ValueError(f"{int(score.isnan().sum())} of {len(score)} scores are NaN")
    return score.sort(descending=True, stable=True).indices[:count].sort().values


def gates_of(
    scores: Float[Tensor, "rows parts"], count: int
) -> Float[Tensor, "rows parts"]:
    """1 for the `count` best of each row, 0 for the others; ValueError as `kept_of`."""
    kept = torch.stack([kept_of(row, count) for row in scores])
    gates = torch.zeros(scores.shape, device=scores.device)
    return gates.scatter_(1, kept, 1.0)


def kept_in_groups(
    score: Float[Tensor, " heads"], groups: int, count: int
) -> Int[Tensor, " kept"]:
    """The `count` best of each of `groups` equal runs of heads, in their own order.

    Queries that share keys and values are a run: each run loses as many, so that the
    model keeps its shape. ValueError as `kept_of`, and where the runs are not equal.
    """
    if groups < 1 or len(score) % groups:
        raise ValueError(f"{len(score)} heads are not {groups} equal groups")
    runs = score.unflatten(0, (groups, -1))
    first = torch.arange(groups, device=score.device)[:, None] * runs.shape[1]
    return (torch.stack([kept_of(run, count) for run in runs]) + first).flatten()
