"""Exercises from examples of exercises, answers from a chat, and rows to learn from.

    Come up with a series of tasks:        eight exercises, of which up to two are
    Task 1: …  …  Task 8: …  Task 9:       the model's own from an earlier round

The model goes on with the list: what it writes up to the end of the line is a proposal.
An answer is what it says when it is asked. A row holds a conversation and its labels,
side by side, so that one training loop cuts both in one draw; only the answer counts.

Read in order: `listed`, `proposals`, `answered`, `rows_of`, `answer_loss`.
Source: Wang et al. 2023, arXiv:2212.10560, section 2.1 and table 5; the answers of a
chat model need no examples.
"""

import random
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase

from lib.distill.instruct.overlap import filtered
from lib.distill.losses import IGNORED
from lib.distill.prompts import chat
from lib.distill.sequence import write

EXAMPLES, OWN = 8, 2  # in a list; of them the model's own, at most
LONGEST = 48  # tokens of an exercise


def listed(seeds: Sequence[str], own: Sequence[str], draw: random.Random) -> str:
    """A list of eight exercises in a drawn order, with the ninth to be written.

    ValueError where there are too few seeds.
    """
    few = min(OWN, len(own))
    if len(seeds) < EXAMPLES - few:
        raise ValueError(f"{len(seeds)} seeds for a list of {EXAMPLES}")
    chosen = draw.sample(list(seeds), EXAMPLES - few) + draw.sample(list(own), few)
    draw.shuffle(chosen)
    lines = [f"Task {place}: {text}\n" for place, text in enumerate(chosen, 1)]
    return "".join(["Come up with a series of tasks:\n\n", *lines, "Task 9:"])


def proposals(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    seeds: Sequence[str],
    *,
    count: int,
    rounds: int = 2,
    temperature: float = 0.8,
    seed: int = 0,
    batch: int = 64,
) -> list[str]:
    """What the model proposes in `rounds` of equal size, before any filter.

    From the second round on a list shows what the filter kept of the rounds before.
    ValueError for counts below 1, and as `listed` and `write`.
    """
    if min(count, rounds) < 1:
        raise ValueError(f"{count=}, {rounds=}")
    draw, found = random.Random(seed), []
    for turn in range(rounds):
        own = filtered(found, seeds)
        share = count // rounds + (turn < count % rounds)
        lists = [listed(seeds, own, draw) for _ in range(share)]
        asked = [
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in lists
        ]
        new = write(
            model,
            asked,
            LONGEST,
            temperature=temperature,
            stop=tokenizer.eos_token_id,
            seed=seed + turn,
            batch=batch,
        )
        texts = (tokenizer.decode(ids, skip_special_tokens=True) for ids in new)
        found += [text.strip().split("\n")[0].strip() for text in texts]
    return found


def answered(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[str],
    *,
    new_tokens: int = 160,
    batch: int = 64,
) -> list[list[int]]:
    """The tokens of the model's answers, greedy, up to the end of its turn."""
    starts = chat(tokenizer, asked)
    stop = tokenizer.eos_token_id
    return write(model, starts, new_tokens, temperature=0.0, stop=stop, batch=batch)


def rows_of(
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[str],
    answers: Sequence[Sequence[int]],
    window: int,
) -> Int[Tensor, "n twice"]:
    """Conversations of `window` tokens, and behind each its labels: 2 · window a row.

    Labels are the tokens of the answer, one to the left; what does not fit is cut off,
    and a question that leaves no place for an answer is left out. ValueError where
    nothing is left.
    """
    rows = []
    for start, answer in zip(chat(tokenizer, asked), answers, strict=True):
        text = [*start, *answer][:window]
        labels = [*[IGNORED] * (len(start) - 1), *text[len(start) :]]
        if len(text) > len(start):
            padding = window - len(text)
            ids = text + [tokenizer.eos_token_id] * padding
            rows.append(ids + labels + [IGNORED] * (window - len(labels)))
    if not rows:
        raise ValueError(f"none of {len(asked)} questions fits {window} tokens")
    return torch.tensor(rows)


def answer_loss(student: nn.Module, rows: Int[Tensor, "n twice"]) -> Float[Tensor, ""]:
    """The mean −log q of the answers' tokens."""
    ids, labels = rows.chunk(2, 1)
    logits = student(input_ids=ids, use_cache=False).logits
    return cross_entropy(logits.float().flatten(0, 1), labels.flatten())
