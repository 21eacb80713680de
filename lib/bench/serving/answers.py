"""Requests answered on a CPU: the engine beside transformers, in one run.

    python -m lib.bench answers        → results/answers.json

One request, and sixteen at once whose answers have lognormal lengths, each in greedy
float32 on one thread: by the engine over plain weights, by the engine over weights in
blocks (lib.layers.blocked), and by transformers: `generate`, over one request or a
left-padded batch, which goes on until its longest answer ends; and its continuous
batching, which is told each answer's length. Every way answers every request with the
same tokens, or the row says how many it does not.

Times are seconds of this process's processor, in alternating runs.
What one pass over K tokens costs is in lib.bench.drafts.spans.
Read in order: `workload`, `ways`, `alternating`, `main`.
"""

import argparse
import copy
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from transformers import (
    ContinuousBatchingConfig,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lib.bench.record import SEED, Run, processor_name, record
from lib.data.text import HELD_OUT, play
from lib.decode.batching import Engine, generate
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.llama import Llama
from lib.decode.paged import PagedCache
from lib.decode.requests import Request
from lib.layers.blocked import block_weights
from lib.models.load import load_model
from lib.progress import progress

RUNS = 5
REQUESTS = 16
PROMPT = (3.2, 0.6, 8, 64)  # mean and deviation of a length's logarithm; its limits
ANSWER = (3.3, 0.8, 4, 128)

Answers = list[list[int]]
Way = Callable[[Sequence[Request]], Answers]


def workload(tokenizer: PreTrainedTokenizerBase, seed: int) -> list[Request]:
    """Requests that go on from places in a held-out play."""
    text = tokenizer.encode(play(HELD_OUT[0]), verbose=False)
    chance = random.Random(seed)

    def length(mean: float, deviation: float, least: int, most: int) -> int:
        return min(max(int(chance.lognormvariate(mean, deviation)), least), most)

    requests = []
    for _ in range(REQUESTS):
        size, answer = length(*PROMPT), length(*ANSWER)
        start = chance.randrange(len(text) - size)
        requests.append(Request(tuple(text[start : start + size]), answer))
    return requests


def engine(model: PreTrainedModel, requests: Sequence[Request]) -> Answers:
    """By lib.decode: one request over a cache in one piece, several over blocks."""
    shape = Shape.of(model)
    one = len(requests) == 1
    cache = ContiguousCache(shape) if one else PagedCache(shape, 16 * REQUESTS)
    return generate(Engine(Llama(model), cache, batch=REQUESTS, budget=512), requests)


def left_padded(model: PreTrainedModel, requests: Sequence[Request]) -> Answers:
    """By transformers' `generate`, in one batch, to the end of the longest answer."""
    longest = max(len(request.prompt) for request in requests)
    empty = [longest - len(request.prompt) for request in requests]
    rows = zip(empty, requests, strict=True)
    ids = torch.tensor([[0] * none + list(request.prompt) for none, request in rows])
    steps = max(request.new_tokens for request in requests)
    written = model.generate(
        ids,
        attention_mask=(torch.arange(longest) >= torch.tensor(empty)[:, None]).long(),
        max_new_tokens=steps,
        min_new_tokens=steps,
        do_sample=False,
        pad_token_id=0,
    )[:, longest:].tolist()
    return [row[: one.new_tokens] for row, one in zip(written, requests, strict=True)]


def continuous(model: PreTrainedModel, requests: Sequence[Request]) -> Answers:
    """By transformers' continuous batching; each answer's length is told.

    RuntimeError where its thread stops.
    """
    sizes = ContinuousBatchingConfig(
        block_size=16, num_blocks=16 * REQUESTS, max_batch_tokens=512
    )
    settings = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
    answers: dict[str, list[int]] = {}
    with model.continuous_batching_context_manager(
        settings, continuous_batching_config=sizes, warmup=False
    ) as manager:
        names = [
            manager.add_request(list(one.prompt), max_new_tokens=one.new_tokens)
            for one in requests
        ]
        while len(answers) < len(requests):
            result = manager.get_result(timeout=1)
            if result is not None and result.is_finished():
                answers[result.request_id] = list(result.generated_tokens)
            elif result is None and not manager.is_running():
                raise RuntimeError("transformers' continuous batching has stopped")
    return [answers[name] for name in names]


def ways(plain: PreTrainedModel, blocked: PreTrainedModel) -> dict[str, Way]:
    """Who answers, by name."""
    return {
        "engine": partial(engine, plain),
        "engine, blocks": partial(engine, blocked),
        "transformers generate": partial(left_padded, plain),
        "transformers continuous": partial(continuous, plain),
    }


def alternating(
    known: dict[str, Way], requests: Sequence[Request], runs: int
) -> dict[str, dict[str, Any]]:
    """Seconds of each way, and how many answers differ from the first way's."""
    rows: dict[str, dict[str, Any]] = {name: {"seconds": []} for name in known}
    for _ in range(runs):
        expected = None
        for name, way in known.items():
            began = time.process_time()
            answers = way(requests)
            rows[name]["seconds"].append(time.process_time() - began)
            expected = expected or answers
            differ = sum(a != b for a, b in zip(answers, expected, strict=True))
            rows[name]["differ"] = differ
    return rows


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How often."""
    parser.add_argument("--runs", type=int, default=RUNS)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Answer one request and all, time passes, and record everything."""
    torch.set_num_threads(1)
    plain, tokenizer = load_model()
    blocked = copy.deepcopy(plain)
    block_weights(blocked)
    requests = workload(tokenizer, SEED)
    longest = max(requests, key=lambda request: request.new_tokens)
    known = ways(plain, blocked)
    rows: dict[str, Any] = {
        "requests": [(len(one.prompt), one.new_tokens) for one in requests]
    }
    for case, asked in progress(
        {"one": [longest], "sixteen": requests}.items(), "cases", total=2
    ):
        rows[case] = alternating(known, asked, options.runs)
    how = (
        f"SmolLM2, float32, greedy, one thread; seconds of the processor, "
        f"{options.runs} alternating runs"
    )
    print(record(run, rows, protocol=how, device=processor_name()).name)
    same = all(
        row["differ"] == 0 for case in ("one", "sixteen") for row in rows[case].values()
    )
    return same
