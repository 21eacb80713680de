"""Passes and processor seconds of speculation, beside transformers' own.

    python -m lib.bench speculative_assisted     # some minutes on one core

The same three prompts and drafts of four tokens for all, greedy in float32; whoever
writes other tokens than the target alone is marked. A pass is a call of the target's
embedding, the prompt's included. Seconds are of the processor, one text at a time.

And half precision: how often the likeliest token of a pass over one token is another
than that of a pass over five, where both have read the same text.
Read in order: `ways`, `timed`, `disagreements`, `main`.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from lib.bench.drafts.acceptance import GROUP, engine_of
from lib.bench.record import Run, processor_name, record
from lib.decode.batching import generate
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.drafts import Draft, LookUp, ModelDraft
from lib.decode.llama import Llama, Span
from lib.decode.requests import Request
from lib.distill.corpus import held_out_prompts
from lib.models.load import load_model
from lib.models.walk import map_weights
from lib.progress import progress
from lib.quant import fake_quantize

NEW, LENGTH, BITS = 32, 4, 4
Way = Callable[[list[int]], list[int]]  # a prompt to what is written


def ways(model: PreTrainedModel, small: PreTrainedModel) -> dict[str, Way]:
    """Who writes: the engine and transformers, alone, by look-up, by a draft model."""

    def ours(draft: Callable[[], Draft | None]) -> Way:
        def write(prompt: list[int]) -> list[int]:
            engine = engine_of(model, draft=draft(), length=LENGTH)
            return generate(engine, [Request(tuple(prompt), NEW)])[0]

        return write

    def theirs(**how: Any) -> Way:
        def write(prompt: list[int]) -> list[int]:
            ids = torch.tensor([prompt])
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=NEW,
                do_sample=False,
                eos_token_id=None,
                pad_token_id=0,
                **how,
            )
            return out[0, len(prompt) :].tolist()

        return write

    small.generation_config.num_assistant_tokens = LENGTH
    small.generation_config.num_assistant_tokens_schedule = "constant"
    small.generation_config.assistant_confidence_threshold = 0.0
    look_up = {"prompt_lookup_num_tokens": LENGTH}
    return {
        "ours, alone": ours(lambda: None),
        "ours, look-up": ours(lambda: LookUp(model.config.vocab_size)),
        f"ours, itself in {BITS} bits": ours(lambda: ModelDraft.of(small)),
        "transformers, alone": theirs(),
        "transformers, look-up": theirs(**look_up, max_matching_ngram_size=3),
        f"transformers, itself in {BITS} bits": theirs(assistant_model=small),
    }


def timed(
    model: PreTrainedModel, how: Way, prompts: Sequence[list[int]]
) -> dict[str, Any]:
    """What is written, the target's passes, and processor seconds."""
    passes = 0

    def count(*_: Any) -> None:
        nonlocal passes
        passes += 1

    handle = model.model.embed_tokens.register_forward_hook(count)
    begin = time.process_time()
    texts = [how(prompt) for prompt in prompts]
    seconds = time.process_time() - begin
    handle.remove()
    return {"texts": texts, "passes": passes, "cpu_s": seconds}


def choices(
    llama: Llama, shape: Shape, text: Sequence[int], known: int, size: int
) -> list[int]:
    """The likeliest token after each behind the first `known`, `size` a pass."""
    cache, found = ContiguousCache(shape), []
    llama([Span(0, tuple(text[:known]), 0)], cache)
    for start in range(known, len(text), size):
        span = tuple(text[start : start + size])
        logits = llama([Span(0, span, len(span))], cache)
        found += logits.float().argmax(-1).tolist()
    return found


def disagreements(
    dtype: torch.dtype, prompts: Sequence[list[int]], texts: Sequence[list[int]]
) -> dict[str, Any]:
    """How often passes of one token and of five choose differently."""
    model, _ = load_model(dtype=dtype)
    llama, shape = Llama(model), Shape.of(model)
    disagree = total = 0
    for prompt, new in zip(prompts, texts, strict=True):
        text, known = prompt + new, len(prompt) - 1
        one, five = (choices(llama, shape, text, known, size) for size in (1, 5))
        disagree += sum(a != b for a, b in zip(one, five, strict=True))
        total += len(one)
    name = str(dtype).removeprefix("torch.")
    return {"dtype": name, "tokens": total, "disagree": disagree}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """There are none: one set of prompts, every way."""


@torch.inference_mode()
def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure on the processor, and record."""
    model, tokenizer = load_model()
    small, _ = load_model()
    map_weights(small, lambda _, w: fake_quantize(w, bits=BITS, group=GROUP))
    held = held_out_prompts(tokenizer, count=4)
    prompts = [some[1] for some in held.values()]
    rows, alone = [], None
    for way, how in progress(list(ways(model, small).items()), "ways"):
        done = timed(model, how, prompts)
        texts = done.pop("texts")
        alone = alone or texts
        rows.append({"way": way, "same_text": texts == alone, **done})
        print(rows[-1])
    halves = (torch.bfloat16, torch.float16)
    half = [disagreements(dtype, prompts, alone) for dtype in halves]
    results = {"tokens": NEW * len(prompts), "rows": rows, "precision": half}
    what = (
        f"{len(prompts)} prompts, {NEW} new tokens each, drafts of {LENGTH}, greedy, "
        "float32, one text at a time, on a busy machine; precision: the same texts, "
        "passes of one token beside passes of five"
    )
    print(record(run, results, protocol=what, device=processor_name()).name)
    return all(row["same_text"] for row in rows)
