"""What is asked of an engine, a request at work, and what one pass did.

Read in order: `Request`, `Text`, `Pass`; `randomness`.
"""

import hashlib
from dataclasses import dataclass, field

import torch

from lib.decode.llama import Span
from lib.decode.sampling import Sampling

GREEDY = Sampling()


@dataclass(frozen=True)
class Request:
    """A prompt; at most `new_tokens` more, or up to one of `stop`, which is kept."""

    prompt: tuple[int, ...]
    new_tokens: int
    sampling: Sampling = GREEDY
    seed: int = 0
    stop: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Refuse an empty prompt, and a request for nothing."""
        if not self.prompt or self.new_tokens < 1:
            raise ValueError(
                f"a prompt of {len(self.prompt)} tokens, new_tokens={self.new_tokens}"
            )


@dataclass(eq=False)
class Text:
    """A request at work."""

    number: int
    request: Request
    tokens: list[int]
    drafted: int = 0  # tokens that were guessed
    accepted: int = 0  # and those of them that stayed

    @property
    def written(self) -> list[int]:
        """The tokens so far, without the prompt."""
        return self.tokens[len(self.request.prompt) :]

    @property
    def left(self) -> int:
        """How many tokens may still come."""
        return self.request.new_tokens - len(self.written)

    @property
    def ended(self) -> str:
        """Why it is at its end, as servers say it: "stop", "length", or ""."""
        written = self.written
        if written and written[-1] in self.request.stop:
            return "stop"
        return "" if self.left else "length"


@dataclass(frozen=True, eq=False)
class Pass:
    """What one pass of the model did."""

    spans: list[Span]
    new: dict[int, list[int]] = field(default_factory=dict)  # tokens, by request
    ended: dict[int, str] = field(default_factory=dict)
    waiting: int = 0


def randomness(seed: int, place: int) -> torch.Generator:
    """The random numbers of one place in one request's text, whenever it is reached."""
    digest = hashlib.sha256(f"{seed} {place}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
