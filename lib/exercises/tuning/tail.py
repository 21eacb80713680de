"""The last blocks of SmolLM2, and texts that lie ready for them.

What the blocks below make of a text never changes, so it is computed once a process; a
step is a block or two and the head. The head speaks only the tokens that it was told
of, which keeps it small.

Read in order: `Ready`, `last_blocks`.
"""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lib.exercises.trial import smollm2


@dataclass(frozen=True)
class Ready:
    """Windows of a text, what the lower blocks make of them, and a small head."""

    texts: Int[Tensor, "n window"]
    hidden: Float[Tensor, "n window hidden"]
    numbers: Int[Tensor, " vocabulary"]  # of each token that is spoken, -1 elsewhere
    head: Float[Tensor, "spoken hidden"]

    @classmethod
    def of(
        cls, texts: Int[Tensor, "n window"], spoken: Int[Tensor, " spoken"], blocks: int
    ) -> "Ready":
        """Run all but the last `blocks` blocks; `spoken` holds every token of texts."""
        model = smollm2()[0]
        with torch.no_grad():
            states = model.model(texts, output_hidden_states=True, use_cache=False)
        head = model.get_output_embeddings().weight.detach()
        numbers = torch.full((len(head),), -1)
        numbers[spoken] = torch.arange(len(spoken))
        hidden = states.hidden_states[-1 - blocks].clone()
        return cls(texts, hidden, numbers, head[spoken])

    def loss(self, tail: nn.Module, n: int) -> Float[Tensor, ""]:
        """Mean of -log p of the tokens of window `n`, but the first; in nats."""
        given = self.hidden[n][None]
        out = tail(inputs_embeds=given, use_cache=False).last_hidden_state[0]
        return cross_entropy(out[:-1] @ self.head.T, self.numbers[self.texts[n, 1:]])

    @torch.no_grad()
    def mean_loss(self, tail: nn.Module, count: int) -> float:
        """The mean over the first `count` windows, in nats a token."""
        return sum(self.loss(tail, n).item() for n in range(count)) / count


def last_blocks(blocks: int) -> nn.Module:
    """The model from its last `blocks` blocks on; these are copies, and frozen."""
    whole = smollm2()[0].model
    tail = copy.copy(whole)
    tail._modules = dict(whole._modules)
    tail.layers = copy.deepcopy(whole.layers[-blocks:]).requires_grad_(False)
    return tail
