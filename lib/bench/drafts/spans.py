"""What a pass over K tokens costs a processor, where one over one token costs 1.

    python -m lib.bench speculative_spans        # a minute on one core

SmolLM2 in float32 behind 128 tokens that it knows, with its weights as they come and in
blocks (lib.layers.blocked): t(K) is what checking a draft of K − 1 tokens costs.
"""

import argparse
import copy
import time

import torch
from transformers import PreTrainedModel

from lib.bench.record import Run, processor_name, record
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.llama import Llama, Span
from lib.layers.blocked import block_weights
from lib.models.load import load_model

SPANS, KNOWN, REPEATS = (1, 2, 3, 5, 9, 17, 33, 65), 128, 15


def span_times(model: PreTrainedModel) -> dict[str, float]:
    """Processor milliseconds of one pass over K tokens, the best of `REPEATS`."""
    llama, cache = Llama(model), ContiguousCache(Shape.of(model))
    llama([Span(0, tuple(range(1, KNOWN + 1)), 0)], cache)
    best = {}
    for size in SPANS:
        times = []
        for _ in range(REPEATS):
            cache.truncate(0, KNOWN)
            begin = time.process_time()
            llama([Span(0, tuple(range(1, size + 1)), size)], cache)
            times.append(time.process_time() - begin)
        best[str(size)] = 1e3 * min(times)
    return best


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """There are none: one model, two layouts."""


@torch.inference_mode()
def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure on the processor, and record."""
    plain, _ = load_model()
    blocked = copy.deepcopy(plain)
    block_weights(blocked)
    results = {"plain_ms": span_times(plain), "blocks_ms": span_times(blocked)}
    print(results)
    how = (
        f"SmolLM2, float32, {KNOWN} tokens in the cache, processor milliseconds, best "
        f"of {REPEATS}, on a busy machine"
    )
    print(record(run, results, protocol=how, device=processor_name()).name)
    return True
