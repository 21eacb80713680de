"""Greedy speculation replayed without a model, from which guesses were right.

For as long as a draft is accepted it has seen just the text that the target wrote. So
one reading of that text by the draft tells what it would have guessed, at every place
and for every draft length, and the loop needs no model any more.

    α = accepted / tested       a guess after the first refusal is not tested

Read in order: `guesses`, `looked_up`, `replay`, `counted`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from lib.decode.drafts import LookUp

LENGTHS = (1, 2, 3, 4, 5, 6, 8, 12, 16)
Text = tuple[list[int], list[int]]  # a prompt, and what was written
Guesser = Callable[[int, int], tuple[int, int]]  # place, count -> offered, right


def guesses(right: Sequence[bool]) -> Guesser:
    """A model's draft: it offers what is asked, and is right up to its first miss."""

    def guess(place: int, count: int) -> tuple[int, int]:
        seen = right[place : place + count]
        return count, next((i for i, good in enumerate(seen) if not good), len(seen))

    return guess


def looked_up(text: Text) -> Guesser:
    """Look-up's draft of a text, which needs no model."""
    prompt, new = text

    def guess(place: int, count: int) -> tuple[int, int]:
        found = LookUp(1).followed(prompt + new[:place], count)
        pairs = zip(found, new[place:], strict=False)
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), len(found))
        return len(found), min(same, len(new) - place)

    return guess


def replay(guess: Guesser, tokens: int, length: int, new: int) -> dict[str, int]:
    """What a loop with drafts of `length` does to a text of so many tokens, of `new`.

    The prompt's own pass writes the first token, and is not counted.
    """
    place, done = 1, {"tokens": tokens - 1, "passes": 0, "tested": 0, "accepted": 0}
    while place < tokens:
        offered, same = guess(place, min(length, new - place - 1))
        same = min(same, tokens - place)
        refused = same < offered and place + same < tokens
        done["passes"] += 1
        done["tested"] += same + refused
        done["accepted"] += same
        place += same + 1
    return done


def counted(
    guessers: Sequence[Guesser], lengths: Sequence[int], new: int
) -> dict[str, Any]:
    """The sums over all texts, for each draft length."""
    table = {}
    for length in LENGTHS:
        runs = [
            replay(guess, tokens, length, new)
            for guess, tokens in zip(guessers, lengths, strict=True)
        ]
        total = {key: sum(run[key] for run in runs) for key in runs[0]}
        table[str(length)] = total | {
            "tokens_a_pass": total["tokens"] / max(total["passes"], 1),
            "alpha": total["accepted"] / max(total["tested"], 1),
        }
    return table
