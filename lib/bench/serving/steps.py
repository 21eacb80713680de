"""Processor seconds of the engine's passes: by tokens read, by texts that write.

    python -m lib.bench engine_steps

Three tables of SmolLM2 on one thread, each time the least of several:
- `passes`: a pass that reads a piece of a prompt and writes a token of n texts; lecture
  14 fits `StepTimes` to them and simulates servers.
- `together`: K tokens in one pass, each of its own text, and all of one text.
- `prompts`: one more token after a prompt, with the prompt's cache and without any.
Processor time, for a machine may be busy with others. Read in order: `least`, the
tables, `main`.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from lib.bench.record import Run, processor_name, record
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.llama import Llama, Span
from lib.models.load import load_model

KNOWN = 128  # tokens that a text has when it writes
TEXTS, PIECES = (0, 1, 2, 4, 8, 16), (0, 16, 64, 256)
TOGETHER = (1, 2, 4, 8, 16, 32, 64, 128)
PROMPTS = (16, 64, 256, 512, 1024)


def seconds(llama: Llama, spans: Sequence[Span], cache: ContiguousCache) -> float:
    """Processor seconds of one pass, after which the cache is as it was."""
    before = {span.sequence: cache.length(span.sequence) for span in spans}
    start = time.process_time()
    llama(spans, cache)
    took = time.process_time() - start
    for sequence, length in before.items():
        cache.truncate(sequence, length)
    return took


def least(measure: Callable[[], float], times: int) -> float:
    """The least of several: what others took from it is not the pass's."""
    return min(measure() for _ in range(times))


def texts(llama: Llama, shape: Shape, count: int) -> ContiguousCache:
    """A cache that has read the same `KNOWN` tokens for each of `count` texts."""
    cache = ContiguousCache(shape)
    for number in range(count):
        llama([Span(number, tuple(range(KNOWN)))], cache)
    return cache


def tokens(count: int) -> tuple[int, ...]:
    """That many tokens of no meaning."""
    return tuple(1000 + i for i in range(count))


def passes(llama: Llama, shape: Shape, times: int) -> list[dict[str, Any]]:
    """A piece of a prompt of so many tokens, and so many texts that write."""
    cache, rows = texts(llama, shape, max(TEXTS)), []
    for write in TEXTS:
        for read in PIECES:
            spans = [Span(i, (7,)) for i in range(write)]
            spans += [Span(99, tokens(read))] if read else []
            if spans:
                took = least(lambda s=spans: seconds(llama, s, cache), times)
                rows.append({"read": read, "texts": write, "seconds": took})
    return rows


def together(llama: Llama, shape: Shape, times: int) -> list[dict[str, Any]]:
    """K tokens in one pass: one each of K texts, or K of one; all logits wanted."""
    cache, rows = texts(llama, shape, max(TOGETHER)), []
    for k in TOGETHER:
        shapes = {
            "texts": [Span(i, (7,)) for i in range(k)],
            "draft": [Span(0, tokens(k), k)],
        }
        took = {
            name: least(lambda s=spans: seconds(llama, s, cache), times)
            for name, spans in shapes.items()
        }
        rows.append({"tokens": k, **took})
    return rows


def prompts(llama: Llama, shape: Shape, times: int) -> list[dict[str, Any]]:
    """One more token after a prompt: its cache kept, and everything read again."""
    rows = []
    for length in PROMPTS:
        cache = ContiguousCache(shape)
        llama([Span(0, tokens(length))], cache)
        kept = least(lambda c=cache: seconds(llama, [Span(0, (7,))], c), times)
        again = [Span(1, tokens(length + 1))]
        none = least(lambda c=cache, s=again: seconds(llama, s, c), times)
        rows.append({"prompt": length, "kept": kept, "none": none})
    return rows


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How often each pass is run."""
    parser.add_argument("--times", type=int, default=7)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure the three tables on one thread of the processor, and record."""
    torch.set_num_threads(1)
    model, _ = load_model()
    llama, shape = Llama(model), Shape.of(model)
    results = {
        table.__name__: table(llama, shape, options.times)
        for table in (passes, together, prompts)
    }
    how = (
        f"SmolLM2, float32, contiguous cache, {KNOWN} tokens a text; processor seconds "
        f"of a pass, the least of {options.times}"
    )
    print(record(run, results, protocol=how, device=processor_name()).name)
    return True
