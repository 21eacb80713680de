"""Tokens become text as they come: no half character, and nothing of a stop sequence.

A token can be a part of a character, so its text waits until the character is whole.
The end of a text that may be the beginning of a stop sequence waits until it is clear.

Read in order: `TextStream`.
"""

from collections.abc import Iterable, Sequence

from transformers import PreTrainedTokenizerBase

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
BYTES = 4  # of a character at most, so tokens
WINDOW = 6  # tokens before the new ones that they are decoded with: spaces, ligatures


class TextStream:
    """The text of one answer. `stopped` once a sequence of `stop` has come."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str] = ()
    ) -> None:
        self.tokenizer, self.stop = tokenizer, tuple(stop)
        self.tokens: list[int] = []
        self.read = 0  # tokens whose text has been taken
        self.held = ""  # text that may begin a stop sequence
        self.stopped = False

    def add(self, tokens: Iterable[int]) -> str:
        """Take more tokens; the text that is certain now."""
        self.tokens += tokens
        return self.certain(self.taken(last=False))

    def finish(self) -> str:
        """What was still held back, once no token comes any more."""
        text = self.certain(self.taken(last=True))
        rest, self.held = self.held, ""
        return text if self.stopped else text + rest

    def taken(self, *, last: bool) -> str:
        """The text of the tokens not yet read, up to the last whole character."""
        start = max(0, self.read - WINDOW)
        before = self.decoded(self.tokens[start : self.read])
        ends = range(len(self.tokens), max(self.read, len(self.tokens) - BYTES), -1)
        for end in ends if not last else ():
            text = self.decoded(self.tokens[start:end])
            if not text.endswith(INCOMPLETE):
                break
        else:  # nothing new, the end, or no character at all
            if not last and len(self.tokens) - self.read < BYTES:
                return ""
            end = len(self.tokens)
            text = self.decoded(self.tokens[start:])
        self.read = end
        return text[len(before) :]

    def decoded(self, tokens: list[int]) -> str:
        """Text, without marks such as the one that ends a turn."""
        return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def certain(self, text: str) -> str:
        """What of the held text and `text` can be shown."""
        if self.stopped:
            return ""
        text = self.held + text
        found = [at for word in self.stop if (at := text.find(word)) >= 0]
        if found:
            self.stopped, self.held = True, ""
            return text[: min(found)]
        held = max((overlap(text, word) for word in self.stop), default=0)
        self.held = text[len(text) - held :]
        return text[: len(text) - held]


def overlap(text: str, word: str) -> int:
    """How long an end of `text` is a beginning of `word`, at most."""
    longest = min(len(text), len(word) - 1)
    return next((n for n in range(longest, 0, -1) if word.startswith(text[-n:])), 0)
