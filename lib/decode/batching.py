"""Many requests at once: each pass takes whatever is ready, from whoever is there.

    every request has tokens, of which the cache holds some; the rest is pending
    one pending token      a step: it, and a draft of up to K more, in one span
    several of them        a prompt, read in pieces of what the pass has room for

*Continuous*: who has finished leaves after any pass, and who waits comes in before the
next. *Static*: nobody comes in before all have left, so a batch takes as long as its
longest. Where blocks run out, whoever came last gives up its own, waits, and reads its
text again: recomputing is a prompt like any other.

What a request gets does not depend on who shares its passes. Its random numbers are
made from its seed and the place in its text, and each row of a product is its own; only
the order of a sum may change with a batch's size, and decides where two logits are
equal to the last digits.

Read in order: requests.py; `Engine.step`, `plan`, `found`, `take`; `generate`.
Taught in notebooks/14.
Source: continuous batching: Yu et al. 2022, "Orca"; chunked prefill: Agrawal et al.
2024, arXiv:2403.02310.
"""

from collections import deque
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from lib.decode.cache import Cache, Full
from lib.decode.drafts import Asked, Draft, Guess, NoDraft, nothing
from lib.decode.llama import Llama, Span
from lib.decode.paged import PagedCache
from lib.decode.requests import Pass, Request, Text, randomness
from lib.decode.sampling import distribution
from lib.decode.speculative import verified


class Engine:
    """One model, one cache, and the requests between them.

    A pass takes every text that is ready to write, and pieces of prompts up to `budget`
    tokens; at most `batch` texts are at work. `draft` guesses up to `length` tokens of
    each. ValueError for a size below 1.
    """

    def __init__(
        self,
        llama: Llama,
        cache: Cache,
        *,
        batch: int = 16,
        budget: int = 256,
        continuous: bool = True,
        draft: Draft | None = None,
        length: int = 4,
    ) -> None:
        if min(batch, budget, length) < 1:
            raise ValueError(f"batch={batch}, budget={budget}, length={length}")
        self.llama, self.cache = llama, cache
        self.batch, self.budget, self.continuous = batch, budget, continuous
        self.draft = draft or NoDraft(llama.config.vocab_size)
        self.length = length
        self.waiting: deque[Text] = deque()
        self.working: list[Text] = []  # in the order in which they came
        self.submitted = 0
        self.passes = 0

    @property
    def context(self) -> int:
        """How many tokens a text can have: the model's, or what the cache holds."""
        model = self.llama.config.max_position_embeddings
        return min(model, getattr(self.cache, "capacity", model))

    def submit(self, request: Request) -> int:
        """Queue a request; its number. ValueError for one that can never fit."""
        longest = len(request.prompt) + request.new_tokens
        if longest > self.context:
            raise ValueError(
                f"{len(request.prompt)} tokens and {request.new_tokens} more do not "
                f"fit into {self.context}"
            )
        self.submitted += 1
        text = Text(self.submitted, request, list(request.prompt))
        self.waiting.append(text)
        return text.number

    def cancel(self, number: int) -> None:
        """Let a request go, wherever it is; nothing of it stays."""
        self.waiting = deque(t for t in self.waiting if t.number != number)
        self.working = [t for t in self.working if t.number != number]
        self.forget(number)

    @property
    def busy(self) -> bool:
        """Whether anybody waits or works."""
        return bool(self.waiting or self.working)

    def step(self) -> Pass:
        """Run one pass; what it did. A pass that fails changes no text.

        Raises `Full` where the cache has no room for one text alone, because somebody
        else holds its blocks.
        """
        self.admit()
        while True:
            spans, guesses = self.plan()
            if not spans:
                return Pass([])
            try:
                logits = self.llama(spans, self.cache)
                break
            except Full:
                if len(self.working) == 1:
                    raise
                self.preempt()
        self.passes += 1
        done = Pass(spans, waiting=len(self.waiting))
        rows = logits.split([span.logits for span in spans])
        texts = {text.number: text for text in self.working}
        found: dict[int, list[int]] = {}
        try:
            for span, wanted in zip(spans, rows, strict=True):
                if span.logits:
                    text = texts[span.sequence]
                    found[text.number] = self.found(text, wanted, guesses)
        except BaseException:
            for text in self.working:
                known = self.cache.length(text.number)
                self.cache.truncate(text.number, min(known, len(text.tokens) - 1))
            raise
        for number, tokens in found.items():
            text = texts[number]
            done.new[number] = self.take(text, tokens, guesses)
            if text.ended:
                done.ended[number] = text.ended
                self.working.remove(text)
                self.forget(number)
        return done

    def admit(self) -> None:
        """Let waiting texts in, the first first."""
        if self.working and not self.continuous:
            return
        while self.waiting and len(self.working) < self.batch:
            text = self.waiting.popleft()
            if isinstance(self.cache, PagedCache):
                self.cache.begin(text.number, text.tokens)
            self.working.append(text)

    def plan(self) -> tuple[list[Span], dict[int, tuple[Guess, torch.Generator]]]:
        """The next pass's spans: who is ready to write, then prompts that have room."""
        pending = {
            text.number: tuple(text.tokens[self.cache.length(text.number) :])
            for text in self.working
        }
        ready = [text for text in self.working if len(pending[text.number]) == 1]
        guesses = self.guessed(ready)
        spans = []
        for text in ready:
            span = pending[text.number] + tuple(guesses[text.number][0].tokens)
            spans.append(Span(text.number, span, len(span)))
        room = self.budget
        for text in self.working:
            if text not in ready and room:
                piece = pending[text.number][:room]
                room -= len(piece)
                whole = len(piece) == len(pending[text.number])
                spans.append(Span(text.number, piece, int(whole)))
        return spans, guesses

    def guessed(
        self, ready: Sequence[Text]
    ) -> dict[int, tuple[Guess, torch.Generator]]:
        """A draft for each, and the random numbers that its check goes on with.

        No longer than what is left: the pass adds one token by itself.
        """
        asked = [
            Asked(
                text.number,
                text.tokens,
                min(self.length, text.left - 1),
                text.request.sampling,
                randomness(text.request.seed, len(text.tokens)),
            )
            for text in ready
        ]
        drafts = zip(asked, self.draft.propose(asked), strict=True)
        return {one.sequence: (guess, one.generator) for one, guess in drafts}

    def found(
        self,
        text: Text,
        logits: Tensor,
        guesses: dict[int, tuple[Guess, torch.Generator]],
    ) -> list[int]:
        """What a pass adds to a text: the accepted part of its draft, and one more."""
        request = text.request
        place = randomness(request.seed, len(text.tokens))
        none = nothing(logits.shape[-1]), place  # its prompt has just been read
        guess, generator = guesses.get(text.number, none)
        p = distribution(logits, request.sampling).cpu()
        return verified(p, guess.q, guess.tokens, generator)

    def take(
        self,
        text: Text,
        found: list[int],
        guesses: dict[int, tuple[Guess, torch.Generator]],
    ) -> list[int]:
        """Add to a text what was found, up to its end; the cache keeps just that."""
        if text.number in guesses:
            text.drafted += len(guesses[text.number][0].tokens)
        text.accepted += len(found) - 1
        ends = (i + 1 for i, token in enumerate(found) if token in text.request.stop)
        found = found[: next(ends, text.left)]
        text.tokens += found
        self.cache.truncate(text.number, len(text.tokens) - 1)
        if isinstance(self.cache, PagedCache):
            self.cache.tell(text.number, text.tokens)
        return found

    def preempt(self) -> None:
        """Send whoever came last back to the head of the queue, without its cache."""
        text = self.working.pop()
        self.forget(text.number)
        self.waiting.appendleft(text)

    def forget(self, number: int) -> None:
        """Drop what cache and draft hold of a text."""
        self.cache.free(number)
        self.draft.free(number)


def generate(engine: Engine, requests: Iterable[Request]) -> list[list[int]]:
    """What each request is answered, in their order; all come at once."""
    numbers = [engine.submit(request) for request in requests]
    written: dict[int, list[int]] = {number: [] for number in numbers}
    while engine.busy:
        for number, tokens in engine.step().new.items():
            if number in written:
                written[number] += tokens
    return [written[number] for number in numbers]
