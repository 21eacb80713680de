"""Text that a model writes for itself, when there is no data to train it on.

    x_1 any token of the vocabulary        x_2 … x_j the likeliest (j = 3, 4 or 5)
    x_(j+1) …  drawn from the model's own distribution

Greedy text repeats itself, and drawn text that follows a random token rambles from the
second word on. The first few, greedy, tokens make a beginning that the model believes
in; the rest is drawn, so that the texts differ and are typical of the model.

Special tokens are never chosen here, so every text has the same length; the published
code lets a text end.

Read in order: `OwnText`, `write_itself`.  Taught in notebooks/08.
Source: Liu et al. 2023, "LLM-QAT", arXiv:2305.17888, section 2.1.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.progress import progress


@dataclass(frozen=True)
class OwnText:
    """`count` texts of `window` tokens; how many tokens begin each, and the seed.

    Text i begins with `begin[i % len(begin)]` tokens, of which the first is random and
    the others are greedy: (1,) draws from the second token on, (window,) is all greedy.
    ValueError for numbers out of range.
    """

    count: int
    window: int
    begin: tuple[int, ...] = (3, 4, 5)
    seed: int = 0
    batch: int = 64

    def __post_init__(self) -> None:
        """Refuse what is no text."""
        if min(self.count, self.batch) < 1 or self.window < 2:
            raise ValueError(f"{self}: count, batch or window out of range")
        if not self.begin or min(self.begin) < 1:
            raise ValueError(f"begin={self.begin} are no numbers of tokens")


@torch.inference_mode()
def write_itself(
    model: nn.Module, settings: OwnText, special: Collection[int] = ()
) -> Int[Tensor, "count window"]:
    """The texts, on the model's device; tokens in `special` never occur.

    Drawn on that device by the seed and a batch's place: other devices write other
    texts. ValueError where `special` leaves no token.
    """
    weight = model.get_input_embeddings().weight
    banned = torch.zeros(len(weight), dtype=torch.bool)
    banned[list(special)] = True
    if banned.all():
        raise ValueError(f"all of {len(banned)} tokens are special")
    usable = (~banned).nonzero().flatten().to(weight.device)
    texts = []
    places = torch.arange(settings.count)
    for rows in progress(places.split(settings.batch), "writing"):
        seed = settings.seed * 1_000_003 + int(rows[0])
        draw = torch.Generator(weight.device).manual_seed(seed)
        begin = torch.tensor([settings.begin[i % len(settings.begin)] for i in rows])
        first = torch.randint(
            len(usable), (len(rows), 1), generator=draw, device=weight.device
        )
        begun = usable[first], begin.to(weight.device)
        texts.append(_written(model, *begun, settings.window, banned, draw))
    return torch.cat(texts)


def _written(
    model: nn.Module,
    ids: Int[Tensor, "n 1"],
    begin: Int[Tensor, " n"],
    window: int,
    banned: Tensor,
    draw: torch.Generator,
) -> Int[Tensor, "n window"]:
    """One batch, a token a pass."""
    text, cache, banned = [ids], None, banned.to(ids.device)
    for place in range(1, window):
        out = model(
            input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        cache = out.past_key_values
        logits = out.logits[:, -1].float().masked_fill(banned, -torch.inf)
        ids = torch.where(place < begin, logits.argmax(-1), _drawn(logits, draw))[
            :, None
        ]
        text.append(ids)
    return torch.cat(text, 1)


def _drawn(
    logits: Float[Tensor, "n vocabulary"], draw: torch.Generator
) -> Int[Tensor, " n"]:
    return torch.multinomial(logits.softmax(-1), 1, generator=draw)[:, 0]
