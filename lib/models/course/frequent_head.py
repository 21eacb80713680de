"""A head that scores frequent tokens only.

    z_v = w_v · h  for v among the kept tokens,   −∞ for all others

A draft's head costs vocabulary × width products a token, more than its blocks: few of
its tokens occur, though. What is never guessed is never accepted either, and nothing is
lost: the target says the rare tokens itself.

Source: Zhao et al. 2025, "FR-Spec", arXiv:2502.14856.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class FrequentHead(nn.Module):
    """Rows `weight` for `tokens`, in a vocabulary of `vocabulary`.

    ValueError for tokens that do not fit the rows or the vocabulary, or come twice.
    """

    def __init__(
        self,
        weight: Float[Tensor, "kept width"],
        tokens: Int[Tensor, " kept"],
        vocabulary: int,
    ) -> None:
        super().__init__()
        if len(weight) != len(tokens) or len(tokens.unique()) < len(tokens):
            raise ValueError(
                f"{len(weight)} rows for {len(tokens)} tokens, "
                f"{len(tokens.unique())} of them different"
            )
        if not len(tokens) or not 0 <= tokens.min() <= tokens.max() < vocabulary:
            raise ValueError(f"{len(tokens)} tokens of a vocabulary of {vocabulary}")
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.register_buffer("tokens", tokens.long())
        self.vocabulary = vocabulary

    def forward(self, h: Float[Tensor, "*places width"]) -> Float[Tensor, "..."]:
        """The logits of the whole vocabulary."""
        z = h @ self.weight.T
        out = z.new_full((*z.shape[:-1], self.vocabulary), -torch.inf)
        return out.index_copy(-1, self.tokens, z)
