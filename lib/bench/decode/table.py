"""Tokens a second of a step as one graph, beside the bytes that it has to read.

    python -m lib.bench decode                    # on a GPU: the table of the lecture
    python -m lib.bench decode --cases tiny       # anywhere: no claims

A step reads every weight once, but of the embeddings a row a text, and the keys and
values of every text: its floor is these bytes over the bandwidth. Prompts are read
first, and are not timed. Each case is a process of its own.

Figures of others are quoted, with their source; only what has `tokens_per_s` was
measured here.

Read in order: `CASES`, `QUOTED`, `Row`, `measure`, `main`.
"""

import argparse
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from lib.bench.decode.parts import (
    REPLAYS,
    by_kernel,
    left_out,
    microseconds_of_step,
    recorded,
)
from lib.bench.record import SEED, Run, record
from lib.bench.timing import bandwidth
from lib.bench.tokens.apart import measured_apart
from lib.bench.tokens.formats import FORMATS
from lib.bench.tokens.models import bytes_of, random_model, replace_layers
from lib.decode.cache import Shape
from lib.decode.graph import Writer
from lib.decode.llama import Llama, Span
from lib.decode.paged import BLOCK, PagedCache

CAPACITY = 256  # tokens of a text
PROMPTS = (24, 41)  # lengths of the prompts, drawn from this range; one alone has 32


@dataclass(frozen=True)
class Case:
    """A shape in a format, so many texts at once, and what we want of it."""

    shape: str
    format: str
    batch: int = 1
    target: int | None = None  # tokens/s; of many texts, times those of one


CASES = {
    "int4": Case("llama-7b", "int4", 1, 500),
    "nf4": Case("llama-7b", "nf4", 1, 420),
    "fp16": Case("llama-7b", "fp16", 1, 200),
    "small_fp16": Case("smollm2", "fp16", 1, 2000),
    "small_int4": Case("smollm2", "int4", 1, 2000),
    "int4_16": Case("llama-7b", "int4", 16, 6),
    "int4_64": Case("llama-7b", "int4", 64, 15),
    "tiny": Case("tiny", "int4"),
}
QUOTED = [  # on the same card, batch 1, greedy, random weights; not measured by this
    {"shape": "llama-7b", "format": "int4", "tokens_per_s": 344.1},
    {"shape": "llama-7b", "format": "bf16", "tokens_per_s": 173.5},
    {"shape": "smollm2", "format": "bf16", "tokens_per_s": 1028.6},
]
SOURCE = (
    "gpt-fast (pytorch-labs), compiled with reduce-overhead, its own int4 product "
    "(tinygemm); H100 80GB HBM3, torch 2.11, measured 2026-11-27 apart from this run"
)


@dataclass
class Row:
    """One case."""

    case: str
    shape: str
    format: str
    batch: int
    target: int | None = None
    tokens_per_s: float | None = None  # of all texts
    step_us: float | None = None
    floor_us: float | None = None
    of_floor: float | None = None
    weight_bytes: int = 0
    cache_bytes: float = 0  # keys and values that the middle step reads
    launches: float = 0  # kernels of a step
    same_again: bool | None = None  # a second run wrote the same tokens
    kernels: list[dict[str, Any]] = field(default_factory=list)  # profiler
    saved_us: dict[str, float] = field(default_factory=dict)  # without a part
    error: str | None = None


def prompts(batch: int) -> list[list[int]]:
    """Random prompts of ragged lengths."""
    draw = torch.Generator().manual_seed(SEED)
    lengths = torch.randint(*PROMPTS, (batch,), generator=draw).tolist()
    lengths = lengths if batch > 1 else [32]
    return [torch.randint(1000, (n,), generator=draw).tolist() for n in lengths]


def written(
    model: Any, texts: list[list[int]], count: int
) -> tuple[Writer, list[list[int]]]:
    """A writer whose cache has read the prompts, and the tokens that it then writes."""
    blocks = len(texts) * -(-CAPACITY // BLOCK)
    cache = PagedCache(Shape.of(model), blocks)
    spans = [Span(i, tuple(text[:-1]), 0) for i, text in enumerate(texts)]
    Llama(model)(spans, cache)
    writer = Writer(model, cache, len(texts), CAPACITY)
    return writer, writer.write(dict(enumerate(texts)), count)


def measure(name: str, device: str, count: int) -> Row:
    """Build the model, write twice, time the steps, and take one apart."""
    case, gpu = CASES[name], device == "cuda"
    row = Row(name, case.shape, case.format, case.batch, case.target)
    dtype = torch.float16 if gpu else torch.float32
    model = random_model(case.shape, dtype=dtype, device=device, capacity=CAPACITY)
    if FORMATS[case.format].make:
        replace_layers(model, FORMATS[case.format].make)
    row.weight_bytes = sum(
        map(bytes_of, (model.model.layers, model.model.norm, model.lm_head))
    )
    texts = prompts(case.batch)
    row.same_again = written(model, texts, count)[1] == written(model, texts, count)[1]
    writer = written(model, texts, count)[0]
    writer.lengths -= count  # the blocks are there, to be written once more
    middle: Tensor = writer.lengths.float() + REPLAYS / 2
    row.cache_bytes = Shape.of(model).token_bytes * float(middle.sum())
    if gpu:
        recording = recorded(writer)
        row.step_us = microseconds_of_step(writer, recording)
        row.tokens_per_s = case.batch / row.step_us * 1e6
        row.floor_us = (row.weight_bytes + row.cache_bytes) / bandwidth()
        row.of_floor = row.floor_us / row.step_us
        row.kernels = by_kernel(writer, recording)
        row.launches = sum(kernel["launches"] for kernel in row.kernels)
        row.saved_us = left_out(writer, row.step_us)
    return row


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Which cases, and how many tokens are written to compare two runs."""
    gpu = torch.cuda.is_available()
    default = [name for name in CASES if name != "tiny"] if gpu else ["tiny"]
    parser.add_argument("--cases", nargs="+", choices=CASES, default=default)
    parser.add_argument("--tokens", type=int, default=64 if gpu else 4)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Print and record a row a case; what fails costs only its own."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    how = (
        f"greedy, a paged cache in blocks of {BLOCK}, prompts of 32 tokens (of many "
        f"texts {PROMPTS[0]} to {PROMPTS[1] - 1}), one CUDA graph a step, 48 steps "
        "after the prompt between two events, median of 5; random weights, fp16 head; "
        "floor: bytes of layers, norms, head, keys and values over the bandwidth of a "
        "copy; saved_us: the step's time less that of a step without the part"
    )
    rows: list[dict[str, Any]] = []
    for case in options.cases:
        known = CASES[case]
        failed = Row(case, known.shape, known.format, known.batch)
        row = measured_apart(measure, failed, case, device, options.tokens)
        rows.append(asdict(row))
        print(line(row), flush=True)
        results = {"rows": rows, "quoted": QUOTED, "quoted_source": SOURCE}
        record(run, results, protocol=how)
    return all(row["error"] is None for row in rows)


def line(row: Row) -> str:
    """The row in words."""
    text = f"{row.case:10} {row.batch:3} at once"
    if row.tokens_per_s:
        text += f" {row.tokens_per_s:9.1f} tokens/s, {row.of_floor:.2f} of floor, "
        text += f"{row.step_us:.0f} us, {row.launches:.0f} kernels"
    return f"{text}, the same again: {row.same_again} {row.error or ''}".rstrip()
