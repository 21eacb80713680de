"""Models as functions from tokens to logits, for homework that decodes.

    model(tokens) → (len(tokens), vocabulary): row i tells what follows tokens[: i + 1]

A `Bigram` is a table, so it crosses a grader's channel as plain data, and a call of it
there asks nobody. `smollm2_pair` is the real thing: SmolLM2, and SmolLM2 in few bits as
its draft. Both speak only the tokens that a part of Hamlet uses, which keeps a row of
logits small. They remember what they have read, for a class asks for the same texts.

Read in order: `Bigram`, `Pair`, `smollm2_pair`, `Reader`.
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache
from io import StringIO

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from lib.data.text import read_text
from lib.exercises.trial import smollm2
from lib.models.walk import map_weights
from lib.quant.uniform.grid import fake_quantize

Text = Sequence[int] | Int[Tensor, " tokens"]
Model = Callable[[Text], Tensor]
PLAY, FROM = "hamlet", "A little ere the mightiest Julius fell"
CHARACTERS, PROMPT = 20_000, 40  # characters whose tokens are spoken, and tokens read
MOST_ROWS = 4096  # of logits that a reader remembers: 30 MB


def as_text(tokens: object, vocabulary: int) -> list[int]:
    """The tokens as a list; ValueError for what is no text of that vocabulary."""
    if isinstance(tokens, Tensor):
        tokens = tokens.tolist()
    text = tokens if isinstance(tokens, list | tuple) else None
    if not text or not all(type(token) is int for token in text):
        raise ValueError(
            f"a model reads a list of tokens, like [3, 1, 4], not {tokens}"
        )
    if min(text) < 0 or max(text) >= vocabulary:
        raise ValueError(f"{text} has tokens outside a vocabulary of {vocabulary}")
    return list(text)


@dataclass(frozen=True, eq=False)
class Bigram:
    """A model that looks at one token: row t of the table is what follows token t."""

    logits: Float[Tensor, "vocabulary vocabulary"]

    def __call__(self, tokens: Text) -> Float[Tensor, "tokens vocabulary"]:
        """The logits behind each token; ValueError for no tokens."""
        return self.logits[as_text(tokens, len(self.logits))]


@dataclass(frozen=True, eq=False)
class Pair:
    """A target, a draft that has its vocabulary, and a text to go on with."""

    target: Model
    draft: Model
    prompt: list[int]
    end: int  # a token that the play does not use
    words: Callable[[Sequence[int]], str]


@cache
def smollm2_pair(bits: int = 4) -> Pair:
    """SmolLM2, the same with its layers in `bits` bits, and three lines of Hamlet.

    Groups of 64 weights, rounded to nearest. Token n here is the n-th of those that the
    following `CHARACTERS` of the play use, in the tokenizer's order.
    """
    model, tokenizer = smollm2()
    play = read_text(PLAY)
    start = play.index(FROM)
    read = tokenizer(play[start : start + CHARACTERS])["input_ids"]
    known = torch.tensor(sorted({*read, tokenizer.eos_token_id}))
    numbers = {token: n for n, token in enumerate(known.tolist())}
    rounded = copy.deepcopy(model)
    with redirect_stderr(StringIO()):
        map_weights(rounded, lambda _, w: fake_quantize(w, bits=bits, group=64))

    def words(tokens: Sequence[int]) -> str:
        return tokenizer.decode(known[list(tokens)])

    prompt = [numbers[token] for token in read[:PROMPT]]
    pair = Reader(model, known), Reader(rounded, known)
    return Pair(*pair, prompt, numbers[tokenizer.eos_token_id], words)


class Reader:
    """A transformers model as a function; it reads nothing twice."""

    def __init__(self, model: PreTrainedModel, known: Int[Tensor, " vocabulary"]):
        self.model, self.known = model, known
        self.head = model.get_output_embeddings().weight[known]
        self.rows: dict[tuple[int, ...], Tensor] = {}  # by the text before
        self.read: tuple[int, ...] = ()  # what the cache holds
        self.cache = DynamicCache()

    def __call__(self, tokens: Text) -> Float[Tensor, "tokens vocabulary"]:
        """The logits behind each token; ValueError for no tokens."""
        text = tuple(as_text(tokens, len(self.known)))
        before = [text[: n + 1] for n in range(len(text))]
        if any(part not in self.rows for part in before):
            self.go_on(text)
        return torch.stack([self.rows[part] for part in before])

    @torch.inference_mode()
    def go_on(self, text: tuple[int, ...]) -> None:
        """Read what of the text is new, in one pass."""
        same = 0
        while same < min(len(self.read), len(text) - 1):
            if self.read[same] != text[same]:
                break
            same += 1
        if len(self.rows) > MOST_ROWS:
            self.rows.clear()
        if any(text[: n + 1] not in self.rows for n in range(same)):
            same = 0
        if same < len(self.read):
            self.cache.crop(same - len(self.read))
        ids = self.known[list(text[same:])][None]
        hidden = self.model.model(ids, past_key_values=self.cache).last_hidden_state
        for n, row in enumerate(hidden[0] @ self.head.T, same + 1):
            self.rows.setdefault(text[:n], row)
        self.read = text
