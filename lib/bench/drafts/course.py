"""The course's draft model: what SmolLM2 accepts of it, and what a pass of each costs.

    python -m lib.bench draft        # a quarter of an hour on one core

SmolLM2 writes on held-out plays, on topics of Python's help that the draft never saw,
and on questions: greedily, and sampled at temperature 1. The draft reads every text
once; from where both agree follow the passes of every draft length. Loops flatter a
draft, so that places before a text's first repeated 8 tokens are counted on their own.

Costs are processor seconds of one thread, after a prompt of 64 tokens, the median of
several passes; `break_even` is t_target(K + 1) + K t_draft in units of t_target(1): so
many tokens a pass are needed before drafts of K pay on this processor.

Read in order: `measure`, `costs`. The other drafts are in the benchmark of lecture 15.
"""

import argparse
import statistics
import time
from typing import Any

import torch
from transformers import PreTrainedModel

from lib.bench.drafts.replay import guesses, replay
from lib.bench.record import Run, processor_name, record
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.llama import Llama, Span
from lib.distill.acceptance import acceptance, loop_start, read, target_texts
from lib.distill.corpus import PROMPT, held_out_prompts
from lib.models.load import load_model
from lib.progress import progress

LENGTHS = (1, 2, 3, 4, 5, 6, 8)
REPEATS = 9


def measure(prompts: int, new_tokens: int) -> dict[str, Any]:
    """Acceptance and tokens a pass by kind of text, and the costs of a pass."""
    target, tokenizer = load_model()
    draft, _ = load_model("draft")
    rows = []
    held = held_out_prompts(tokenizer, count=prompts)
    for kind, starts in progress(list(held.items()), "kinds of text"):
        texts = target_texts(target, starts, new_tokens, stop=tokenizer.eos_token_id)
        reading = read(draft, target, texts)
        fresh = [loop_start(new) for new in texts.greedy]
        cut = [a[:end] for a, end in zip(reading.agree, fresh, strict=True)]
        rows.append(
            {
                "kind": kind,
                "greedy_tokens": sum(map(len, texts.greedy)),
                "before_loop_tokens": sum(fresh),
                "sampled_tokens": sum(map(len, texts.sampled)),
                "acceptance": acceptance(reading),
                "tokens_a_pass": {str(k): rate(reading.agree, k) for k in LENGTHS},
                "tokens_a_pass_before_loop": {str(k): rate(cut, k) for k in LENGTHS},
            }
        )
    return {"rows": rows, "costs": costs(target, draft)}


def rate(agree: list[list[bool]], drafted: int) -> float:
    """Tokens a pass of the target, over all texts; the prompt's own pass left out."""
    tokens = sum(max(len(text) - 1, 0) for text in agree)
    return tokens / max(1, sum(passes(text, drafted) for text in agree))


def passes(agree: list[bool], drafted: int) -> int:
    """The target's passes that write a greedy text, after its prompt's own."""
    return replay(guesses(agree), len(agree), drafted, len(agree))["passes"]


def costs(target: PreTrainedModel, draft: PreTrainedModel) -> dict[str, Any]:
    """Processor seconds of a pass of the draft, and of the target over 1 … K + 1."""
    own = seconds(target, 1)
    guess = seconds(draft, 1)
    checks = {k: seconds(target, k + 1) for k in LENGTHS}
    return {
        "target_s": own,
        "draft_s": guess,
        "check_s": {str(k): checks[k] for k in LENGTHS},
        "break_even": {str(k): (checks[k] + k * guess) / own for k in LENGTHS},
    }


def seconds(model: PreTrainedModel, tokens: int) -> float:
    """The median processor time of a pass over `tokens`, behind a prompt."""
    llama, cache = Llama(model), ContiguousCache(Shape.of(model))
    llama([Span(0, tuple(range(1, PROMPT + 1)))], cache)
    span, found = Span(0, tuple(range(1, tokens + 1)), tokens), []
    for _ in range(REPEATS):
        began = time.process_time()
        llama([span], cache)
        found.append(time.process_time() - began)
        cache.truncate(0, PROMPT)
    return statistics.median(found)


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How much is written."""
    parser.add_argument("--prompts", type=int, default=12, help="of each kind")
    parser.add_argument("--tokens", type=int, default=96, help="written to each")


@torch.inference_mode()
def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure on the processor, and record."""
    results = measure(options.prompts, options.tokens)
    how = (
        f"{options.prompts} prompts a kind, up to {options.tokens} new tokens, "
        "float32; greedy, and sampled at temperature 1 with seed 0; costs are medians "
        f"of {REPEATS} passes behind {PROMPT} tokens, in processor seconds of a busy "
        "machine"
    )
    print(record(run, results, protocol=how, device=processor_name()).name)
    return True
