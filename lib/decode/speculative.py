"""Speculative decoding: guess K tokens cheaply, check them in one pass, lose nothing.

    accept x_i ~ q_i with probability min(1, p_i(x_i) / q_i(x_i))
    at the first that is refused, draw from (p_i − q_i)⁺ / Σ (p_i − q_i)⁺, and stop
    if none is, draw one more from p_{K+1}

p is what the target would have drawn from at that place, q what the draft did draw
from. A token comes out with probability min(p, q) by acceptance, and (p − q)⁺ by the
other way, for the probability of a refusal is just Σ (p − q)⁺; together p. So the text
has the target's distribution, whatever the draft is. A greedy target puts all of p on
one token: then a draft's token is accepted where it is that token, and no chance is
left.

One pass yields (1 − α^(K+1)) / (1 − α) tokens on average, where each is accepted with
probability α, independently.

Read in order: `verified`, `expected_tokens`; who guesses is in drafts.py, and the loop
in batching.py, for a draft is a longer span of a batch.
Source: Leviathan et al. 2023, arXiv:2211.17192; Chen et al. 2023, arXiv:2302.01318.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lib.decode.sampling import draw


def verified(
    p: Float[Tensor, "next vocabulary"],
    q: Float[Tensor, "drafted vocabulary"],
    drafted: Sequence[int],
    generator: torch.Generator,
) -> list[int]:
    """The drafted tokens that are accepted, and one more.

    `p` has a row for each of the K drafted tokens and one for what follows them all;
    `q` has what each was drawn from, in the same order. ValueError where the rows do
    not fit, and for a token that its own q gives no probability.
    """
    if not len(p) - 1 == len(q) == len(drafted):
        raise ValueError(f"{len(p)} rows of p, {len(q)} of q, {len(drafted)} drafted")
    kept = []
    for target, guess, token in zip(p, q, drafted, strict=False):
        if not guess[token] > 0:
            raise ValueError(f"token {token} was not drawn from its q")
        u = torch.rand((), generator=generator, dtype=torch.float64)
        if u * guess[token] < target[token]:
            kept.append(token)
            continue
        missing = (target - guess).clamp(min=0)
        # Without rounding p ≠ q here; with it, nothing may be left to draw from
        return [*kept, draw(missing if missing.any() else target, generator)]
    return [*kept, draw(p[-1], generator)]


def expected_tokens(acceptance: float, drafted: int) -> float:
    """Tokens a pass, (1 − α^(K+1)) / (1 − α). ValueError outside 0 ≤ α ≤ 1, K ≥ 0."""
    if not (0 <= acceptance <= 1 and drafted >= 0):
        raise ValueError(f"acceptance={acceptance}, drafted={drafted}")
    return sum(acceptance**count for count in range(drafted + 1))
