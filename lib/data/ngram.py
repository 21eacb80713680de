"""A model of text without a network: an n-gram, smoothed by the shorter contexts.

    p_k(y | x) = (c(x, y) + d(x) p_{k−1}(y | x')) / (n(x) + d(x))      p_{−1} = 1 / V

c counts how often y followed the k letters x; n(x) = Σ_y c(x, y) is how often x was
seen; d(x) is how many different letters followed; x' is x without its first letter.
A context that was never seen leaves p_{k−1} as it is. So every row sums to 1 and no
letter has probability 0: so it can teach (lib.distill).

Read in order: `fit_ngram`, `NGram`.
Source: Witten & Bell 1991, method C, as in Chen & Goodman 1998, section 2.6.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class NGram:
    """Counts of what followed each context: one table a length, shortest first."""

    vocabulary: int
    keys: list[Tensor]  # (contexts,): sorted numbers of the contexts
    counts: list[Tensor]  # (contexts, vocabulary)

    @property
    def order(self) -> int:
        """n: a prediction looks at n − 1 letters."""
        return len(self.keys)

    def probabilities(
        self, contexts: Int[Tensor, "n seen"]
    ) -> Float[Tensor, "n vocabulary"]:
        """p(y | the last letters of each context), rows that sum to 1.

        ValueError for contexts shorter than n − 1.
        """
        if contexts.shape[1] < self.order - 1:
            raise ValueError(f"{contexts.shape[1]} letters for order {self.order}")
        p = torch.full((len(contexts), self.vocabulary), 1 / self.vocabulary)
        for length, (keys, counts) in enumerate(
            zip(self.keys, self.counts, strict=True)
        ):
            wanted = numbers(contexts[:, contexts.shape[1] - length :], self.vocabulary)
            place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
            c = counts[place] * (keys[place] == wanted)[:, None]
            n, d = c.sum(-1, keepdim=True), (c > 0).sum(-1, keepdim=True)
            p = torch.where(n > 0, (c + d * p) / (n + d).clamp(min=1), p)
        return p


def fit_ngram(text: Int[Tensor, " length"], order: int, vocabulary: int) -> NGram:
    """Count every context of up to `order` − 1 letters of `text`.

    ValueError for an order below 1, a text shorter than that, letters outside the
    vocabulary, and contexts that no 64-bit number tells apart.
    """
    if not 1 <= order < len(text) or vocabulary ** (order - 1) >= 2**63:
        raise ValueError(f"{order=}, {vocabulary=}, a text of {len(text)}")
    if not 0 <= int(text.min()) <= int(text.max()) < vocabulary:
        raise ValueError(f"letters {text.min()} to {text.max()} of {vocabulary}")
    keys, counts = [], []
    for length in range(order):
        runs = text.unfold(0, length + 1, 1)
        seen, row = numbers(runs[:, :-1], vocabulary).unique(return_inverse=True)
        table = torch.zeros(len(seen), vocabulary)
        table.index_put_((row, runs[:, -1]), torch.ones(len(row)), accumulate=True)
        keys.append(seen)
        counts.append(table)
    return NGram(vocabulary, keys, counts)


def numbers(runs: Int[Tensor, "n length"], base: int) -> Int[Tensor, " n"]:
    """Each run of letters as one number, written in this base."""
    number = torch.zeros(len(runs), dtype=torch.long)
    for column in runs.T:
        number = number * base + column
    return number
