"""A teacher of letters and what it says of a play, for homework that distils.

    teacher    p(c | a b) of 31 letters, counted on six plays: 29,791 numbers
    student    logits = bias + weight[0, b] + weight[1, a]: 1,953 numbers
    bits       −log₂ q(c | a b), the mean over a play that nobody read

The teacher is an n-gram of lib.data, which no homework withholds.

Read in order: `spelled`, `trigram`, `Lesson`, `lesson`, `bits`.
"""

import math
import re
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.data.ngram import fit_ngram
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
    taught = torch.cat([spelled(play(name)) for name in CALIBRATION])
    letters = torch.arange(size)
    pairs = torch.cartesian_prod(*[letters] * READ)
    p = fit_ngram(taught, READ + 1, size).probabilities(pairs)
    return p.log().view(size, size, size)


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
