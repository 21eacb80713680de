"""A teacher of letters and what it says of a play, for homework that distils.

    teacher    p(c | a b) of 31 letters, counted on six plays: 29,791 numbers
    student    logits = bias + weight[0, b] + weight[1, a]: 1,953 numbers
    bits       −log₂ q(c | a b), the mean over a play that nobody read

The counts of three letters lean on those of two, and these on those of one, by the rule
of Witten and Bell: what a context was followed by for the first time speaks for what it
was never followed by. So no probability is 0.

Read in order: `spelled`, `trigram`, `Lesson`, `lesson`, `bits`.
Source: Witten & Bell 1991, "The zero-frequency problem", method C.
"""

import math
import re
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.data.text import CALIBRATION, play

ALPHABET = " abcdefghijklmnopqrstuvwxyz.,'\n"
READ = 2  # letters before the next one
SKIPPED = 2_000  # letters of a play's front matter
MEASURED = ("the-tempest", 20_000)


def spelled(text: str) -> Int[Tensor, " letters"]:
    """The text's letters as places in `ALPHABET`; what is none becomes a space."""
    plain = re.sub(r"[^a-z.,'\n]+", " ", text.lower())
    plain = re.sub(r"\s*\n\s*", "\n", plain)
    return torch.tensor([ALPHABET.index(letter) for letter in plain])


@cache
def trigram() -> Float[Tensor, "before last next"]:
    """log p(next | before, last) of the plays that a calibration may read."""
    size = len(ALPHABET)
    texts = [spelled(play(name)) for name in CALIBRATION]
    p = torch.full((), 1 / size, dtype=torch.float64)
    for order in range(1, READ + 2):
        seen = torch.zeros(size**order, dtype=torch.int64)
        for text in texts:
            runs = text.unfold(0, order, 1)
            places = size ** torch.arange(order).flip(0)
            seen += (runs * places).sum(1).bincount(minlength=len(seen))
        seen = seen.view((size,) * order)
        kinds = (seen > 0).sum(-1, keepdim=True)
        total = seen.sum(-1, keepdim=True)
        mixed = (seen + kinds * p) / (total + kinds).clamp(min=1)
        p = torch.where(total > 0, mixed, p)
    return p.log().float()


@dataclass(frozen=True)
class Lesson:
    """Places of a text: two letters before (the last first), the next, a teacher."""

    contexts: Int[Tensor, "places 2"]
    labels: Int[Tensor, " places"]
    teacher: Float[Tensor, "places letters"]  # logits


@cache
def lesson(name: str, count: int, skipped: int = SKIPPED) -> Lesson:
    """`count` places of a play, and what the teacher says at each.

    ValueError for a name that is no play, and for more places than it has.
    """
    text = spelled(play(name))[skipped:]
    if not 0 < count <= len(text) - READ:
        raise ValueError(f"{count} places of {len(text)} letters of {name}")
    contexts = torch.stack((text[1 : count + 1], text[:count]), 1)
    before, last = contexts[:, 1], contexts[:, 0]
    return Lesson(contexts, text[READ : count + READ], trigram()[before, last])


def bits(
    weight: Float[Tensor, "2 letters letters"],
    bias: Float[Tensor, " letters"],
    measured: Lesson | None = None,
) -> float:
    """How many bits a letter takes by this student, on *The Tempest* unless told."""
    measured = measured or lesson(*MEASURED)
    weight, bias = weight.double(), bias.double()
    logits = bias + sum(weight[j, measured.contexts[:, j]] for j in range(READ))
    gold = logits.log_softmax(-1).gather(1, measured.labels[:, None])
    return -gold.mean().item() / math.log(2)
