"""Which token is next: logits become a distribution, and a distribution a token.

    p = softmax(z / T), cut to the k largest,
        then to the fewest that together reach `top_p`,
        then to those of at least `min_p` times the largest; what is left sums to 1

All choices are *distributions*: greedy decoding is the one whose whole mass lies on the
largest logit. So whatever reasons about a distribution, as speculative decoding does,
holds for every choice at once.

Read in order: `Sampling`, `distribution`, `draw`.
Source: top-k: Fan et al. 2018, arXiv:1805.04833; top-p: Holtzman et al. 2020,
arXiv:1904.09751; min-p: Nguyen et al. 2024, arXiv:2407.01082. The order is that of
transformers.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How a request's tokens are chosen; by default the likeliest.

    `temperature` 0 is greedy. `top_k` 0, `top_p` 1 and `min_p` 0 cut nothing.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no temperature, no count and no share."""
        if not (0 <= self.temperature < float("inf") and self.top_k >= 0):
            raise ValueError(f"temperature={self.temperature}, top_k={self.top_k}")
        if not (0 < self.top_p <= 1 and 0 <= self.min_p <= 1):
            raise ValueError(f"top_p={self.top_p}, min_p={self.min_p}")

    @property
    def greedy(self) -> bool:
        """Whether nothing is left to chance."""
        return self.temperature == 0


def distribution(
    logits: Float[Tensor, "rows vocabulary"], sampling: Sampling
) -> Float[Tensor, "rows vocabulary"]:
    """The next token's probabilities, in float64; each row sums to 1.

    Of equal logits greedy takes the first. ValueError for logits of which a row has no
    largest: NaN, or nothing above minus infinity.
    """
    logits = logits.double()
    best = logits.amax(-1, keepdim=True)
    if not best.isfinite().all():
        raise ValueError(f"the largest logit of a row is {best[~best.isfinite()][0]}")
    if sampling.greedy:
        first = logits.argmax(-1, keepdim=True)
        return torch.zeros_like(logits).scatter(-1, first, 1.0)
    p = ((logits - best) / sampling.temperature).softmax(-1)
    if 0 < sampling.top_k < p.shape[-1]:
        smallest = p.topk(sampling.top_k).values[:, -1:]
        p = p.where(p >= smallest, 0)
        p = p / p.sum(-1, keepdim=True)
    if sampling.top_p < 1:
        ordered, order = p.sort(dim=-1, descending=True, stable=True)
        enough = ordered.cumsum(-1) - ordered >= sampling.top_p  # without this token
        p = p.masked_fill(torch.zeros_like(enough).scatter(-1, order, enough), 0)
        p = p / p.sum(-1, keepdim=True)
    if sampling.min_p > 0:
        p = p.where(p >= sampling.min_p * p.amax(-1, keepdim=True), 0)
        p = p / p.sum(-1, keepdim=True)
    return p


def draw(p: Float[Tensor, " vocabulary"], generator: torch.Generator) -> int:
    """A token with these probabilities; never one of probability 0.

    The token at which their running sum first exceeds a number drawn from [0, total).
    """
    running = p.double().cumsum(-1)
    u = torch.rand((), generator=generator, dtype=torch.float64) * running[-1].cpu()
    token = int(torch.searchsorted(running, u.to(running.device), right=True))
    return min(token, int(p.nonzero()[-1]))
