"""Who guesses the next tokens: a smaller model, an early exit, or the text itself.

    ModelDraft   any Llama-shaped model with the target's vocabulary: a smaller one, the
                 target with its weights in few bits, or its first layers
    LookUp       what followed the last time that the text ended like this

A draft says with each token the distribution that it drew it from: without that q, the
rule of acceptance is not exact. A token that was not drawn has all of q on itself.

An early exit needs a bridge: what is in the middle of a model is not what its head was
trained to read. Here it is the linear map that fits the last layer's output best,

    B = argmin Σ ‖h_L − [h_l, 1] B‖² + λ‖B‖²  =  (HᵀH + λI)⁻¹ Hᵀ T

Read in order: `Draft`, `NoDraft`, `LookUp`, `ModelDraft`, `early_exit`, `fit_bridge`.
Source: look-up: Saxena 2023, "Prompt lookup decoding"; early exit with a linear map:
Din et al. 2023, arXiv:2303.09435.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from lib.decode.cache import ContiguousCache, Shape
from lib.decode.llama import Llama, Span
from lib.decode.sampling import Sampling, distribution, draw
from lib.models.hooks import before


@dataclass(frozen=True, eq=False)
class Asked:
    """A text that wants `count` guesses, and what they may be drawn with."""

    sequence: int
    tokens: Sequence[int]
    count: int
    sampling: Sampling
    generator: torch.Generator


@dataclass(frozen=True, eq=False)
class Guess:
    """The guessed tokens, no more than were asked for, and what they came from."""

    tokens: list[int]
    q: Float[Tensor, "drafted vocabulary"]


@runtime_checkable
class Draft(Protocol):
    """What guesses, for many texts at once."""

    def propose(self, asked: Sequence[Asked]) -> list[Guess]:
        """A guess for each; how the text goes on is told by the next call."""

    def free(self, sequence: int) -> None:
        """Forget a text that has ended."""


def nothing(vocabulary: int) -> Guess:
    """No guess at all."""
    return Guess([], torch.zeros(0, vocabulary, dtype=torch.float64))


class NoDraft:
    """Guesses nothing: each pass writes one token."""

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def propose(self, asked: Sequence[Asked]) -> list[Guess]:
        """Nothing, for each text."""
        return [nothing(self.vocabulary)] * len(asked)

    def free(self, sequence: int) -> None:
        """Nothing is kept of a text."""


class LookUp:
    """Guesses that the text goes on as it did after the same last n tokens.

    The longest n up to `longest` that occurred before counts, and its last occurrence.
    ValueError for a size below 1.
    """

    def __init__(self, vocabulary: int, *, longest: int = 3) -> None:
        if vocabulary < 1 or longest < 1:
            raise ValueError(f"vocabulary={vocabulary}, longest={longest}")
        self.vocabulary, self.longest = vocabulary, longest

    def propose(self, asked: Sequence[Asked]) -> list[Guess]:
        """What followed, for each text; nothing where its end is new."""
        return [self.guess(list(one.tokens), one.count) for one in asked]

    def guess(self, tokens: list[int], count: int) -> Guess:
        """The same as a guess: all of q lies on each token."""
        followed = self.followed(tokens, count)
        q = torch.zeros(len(followed), self.vocabulary, dtype=torch.float64)
        q[range(len(followed)), followed] = 1
        return Guess(followed, q)

    def followed(self, tokens: list[int], count: int) -> list[int]:
        """What followed the last earlier occurrence of the text's end."""
        text = list(tokens)
        for n in range(min(self.longest, len(tokens) - 1), 0, -1):
            end = tokens[-n:]
            starts = range(len(tokens) - n - 1, -1, -1)
            at = next((s for s in starts if tokens[s : s + n] == end), None)
            if at is not None:
                for place in range(at + n, at + n + count):
                    text.append(text[place])  # perhaps a guess: a loop goes on
                break
        return text[len(tokens) :]

    def free(self, sequence: int) -> None:
        """Nothing is kept of a text."""


class ModelDraft:
    """Guesses by another model's pass, each token drawn as the request draws."""

    def __init__(self, llama: Llama, shape: Shape) -> None:
        self.llama, self.cache = llama, ContiguousCache(shape)
        self.known: dict[int, list[int]] = {}  # what the cache holds of a text

    @classmethod
    def of(cls, model: PreTrainedModel) -> "ModelDraft":
        """The draft that a transformers model makes."""
        return cls(Llama(model), Shape.of(model))

    def propose(self, asked: Sequence[Asked]) -> list[Guess]:
        """Guess token by token, every text's next one in the same pass."""
        texts = {one.sequence: list(one.tokens) for one in asked}
        rows: dict[int, list[Tensor]] = {one.sequence: [] for one in asked}
        for place in range(max((one.count for one in asked), default=0)):
            going = [one for one in asked if place < one.count]
            spans = [Span(one.sequence, self.pending(one, texts)) for one in going]
            for one, logits in zip(going, self.llama(spans, self.cache), strict=True):
                (q,) = distribution(logits[None], one.sampling)
                self.known[one.sequence] = list(texts[one.sequence])
                texts[one.sequence].append(draw(q, one.generator))
                rows[one.sequence].append(q.cpu())
        vocabulary = self.llama.config.vocab_size
        nothing = torch.zeros(0, vocabulary, dtype=torch.float64)
        return [
            Guess(
                texts[one.sequence][len(one.tokens) :], torch.stack(q) if q else nothing
            )
            for one, q in ((one, rows[one.sequence]) for one in asked)
        ]

    def pending(self, one: Asked, texts: dict[int, list[int]]) -> tuple[int, ...]:
        """What the model has not read of a text; what it read and was refused goes."""
        text, known = texts[one.sequence], self.known.get(one.sequence, [])
        same = min(len(known), len(text) - 1)
        if known[:same] != text[:same]:
            same = next(i for i in range(same) if known[i] != text[i])
        self.cache.truncate(one.sequence, same)
        return tuple(text[same:])

    def free(self, sequence: int) -> None:
        """Forget a text that has ended."""
        self.known.pop(sequence, None)
        self.cache.free(sequence)


def early_exit(
    llama: Llama, depth: int, bridge: Float[Tensor, "hidden_1 hidden"]
) -> Llama:
    """The first `depth` blocks, then `bridge`, then the model's own norm and head.

    ValueError unless some blocks stay and some go.
    """
    if not 0 < depth < len(llama.blocks):
        raise ValueError(f"depth={depth} of {len(llama.blocks)} blocks")
    short = copy.copy(llama)
    weight = bridge[:-1].T.to(llama.embedding.weight)
    linear = nn.Linear(*weight.T.shape, device=weight.device, dtype=weight.dtype)
    linear.weight = nn.Parameter(weight, requires_grad=False)
    linear.bias = nn.Parameter(bridge[-1].to(weight), requires_grad=False)
    short.blocks, short.bridge = llama.blocks[:depth], linear
    return short


def fit_bridge(
    model: PreTrainedModel,
    depth: int,
    windows: Int[Tensor, "n window"],
    *,
    damping: float = 1e-3,
) -> Float[Tensor, "hidden_1 hidden"]:
    """B, which maps what block `depth` reads, and 1, to what the last norm reads.

    λ is `damping` times the mean square of h_l's sums. ValueError for a depth that is
    none of the blocks behind the first.
    """
    blocks = model.model.layers
    if not 0 < depth < len(blocks):
        raise ValueError(f"depth={depth} of {len(blocks)} blocks")
    seen: dict[str, list[Tensor]] = {"exit": [], "last": []}
    watched = {"exit": blocks[depth], "last": model.model.norm}

    def look(arrival) -> None:
        seen[arrival.name].append(arrival.x.detach().flatten(0, -2).double())

    with before(watched, look), torch.inference_mode():
        for ids in windows.split(2):
            model.model(ids)
    h, target = torch.cat(seen["exit"]), torch.cat(seen["last"])
    h = torch.cat((h, torch.ones_like(h[:, :1])), 1)
    gram = h.T @ h
    gram.diagonal().add_(damping * gram.diagonal().mean())
    return torch.linalg.solve(gram, h.T @ target).float().clone()
