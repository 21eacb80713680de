"""Held-out questions, judged by what can be checked, and no further.

    references   nats a token of answers that a person wrote
    rules        "in one sentence", "in capital letters": a program sees whether it is
    form         does the answer end; does it repeat itself

A likelihood tells how near a model is to *these* answers, not whether its own is good.
A rule tells whether one demand was met, not whether the text is true or helps. Nothing
here judges truth, and a model of this size as the judge of another would not either.

Read in order: `Rule`, `RULES`, `questions`, `kept_rules`; `form`; `reference_nats`.
Source: rules: Zhou et al. 2023, "Instruction-Following Evaluation", arXiv:2311.07911.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from lib.distill.instruct.propose import answer_loss, rows_of
from lib.distill.instruct.references import REFERENCES
from lib.distill.prompts import HELD_OUT

TOPICS = ("lighthouses", "umbrellas", "penguins", "bakeries", "ladders", "fog")


@dataclass(frozen=True)
class Rule:
    """A demand, with a place for the topic, and the check of an answer."""

    demand: str
    met: Callable[[str], bool]


def sentences(text: str) -> int:
    """How many runs of ".", "!" or "?" end a word."""
    return len(re.findall(r"\w[\"')]*[.!?]+(?=\s|$)", text))


def numbered(text: str) -> list[int]:
    """The numbers that begin a line."""
    return [int(found) for found in re.findall(r"^\s*(\d+)[.)]", text, re.MULTILINE)]


RULES = {
    "one sentence": Rule(
        "Describe {} in exactly one sentence.", lambda text: sentences(text) == 1
    ),
    "three points": Rule(
        "Give me a numbered list of exactly three facts about {}.",
        lambda text: numbered(text) == [1, 2, 3],
    ),
    "capitals": Rule(
        "Write about {} in capital letters only.",
        lambda text: text.isupper(),
    ),
    "few words": Rule(
        "Tell me about {} in fewer than twenty words.",
        lambda text: 0 < len(text.split()) < 20,
    ),
    "a word": Rule(
        'Write a sentence about {} with the word "river" in it.',
        lambda text: "river" in text.lower(),
    ),
    "the start": Rule(
        'Write about {}, and begin with the words "Dear reader".',
        lambda text: text.lower().startswith("dear reader"),
    ),
    "the end": Rule(
        'Write two sentences about {}, and end with the words "Good night."',
        lambda text: text.lower().rstrip('"').endswith("good night."),
    ),
    "yes or no": Rule(
        "Can a person see {}? Answer only with yes or no.",
        lambda text: text.lower().strip(".! ") in ("yes", "no"),
    ),
}


def questions() -> list[str]:
    """Every rule's demand of every topic, rule by rule."""
    return [rule.demand.format(topic) for rule in RULES.values() for topic in TOPICS]


def kept_rules(answers: Sequence[str]) -> dict[str, float]:
    """The share of topics for which each rule was kept, by answers to `questions`.

    ValueError for another number of answers.
    """
    if len(answers) != len(RULES) * len(TOPICS):
        raise ValueError(f"{len(answers)} answers to {len(questions())} questions")
    found = {}
    for place, (name, rule) in enumerate(RULES.items()):
        own = answers[place * len(TOPICS) : (place + 1) * len(TOPICS)]
        found[name] = sum(rule.met(text.strip()) for text in own) / len(own)
    return found


def form(answers: Sequence[Sequence[int]], stop: int) -> dict[str, float]:
    """The share that ends by itself; that of fours of tokens which were there before.

    ValueError for no answers.
    """
    if not answers:
        raise ValueError("no answers")
    runs = [list(zip(*(text[i:] for i in range(4)), strict=False)) for text in answers]
    total = sum(map(len, runs))
    again = sum(len(run) - len(set(run)) for run in runs)
    return {
        "ends": sum(stop in text for text in answers) / len(answers),
        "repeated": again / max(total, 1),
    }


@torch.inference_mode()
def reference_nats(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> float:
    """Nats a token of the references to the held-out questions, ends included."""
    end = tokenizer.eos_token_id
    written = [
        [*tokenizer(text, add_special_tokens=False)["input_ids"], end]
        for text in REFERENCES
    ]
    rows = rows_of(tokenizer, HELD_OUT, written, 160)
    device = model.get_input_embeddings().weight.device
    return answer_loss(model, rows.to(device)).item()
