"""Tokens a second of a whole model, its linear layers in one format after another.

    python -m lib.bench tokens                 # on a GPU: SmolLM2's and a 7B's shape
    python -m lib.bench tokens --shapes tiny   # anywhere: no claims

A token needs every weight once, but of the embeddings one row: so its least time is
the bytes of layers, norms and head over the bandwidth. The cache is static, and a step
is one CUDA graph, where the format can be captured; and without a graph, so that what
cannot is compared with its like.

Each model is measured by a process of its own: what one does to the GPU, or to torch's
random numbers, harms no other.

Without a graph a step is as slow as the host's Python: compare such figures within one
shape only, whose rows come from one run.

Read in order: `Row`, `measure`, `measure_in_process`, `main`, `by_format`.
"""

import argparse
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lib.bench.record import Run, recall, record
from lib.bench.timing import bandwidth
from lib.bench.tokens.apart import measured_apart
from lib.bench.tokens.decoder import RUNS, Decoder, tokens_per_second
from lib.bench.tokens.formats import FORMATS
from lib.bench.tokens.models import SHAPES, bytes_of, random_model, replace_layers

PROMPT = 32  # tokens
EAGER_TOKENS = 32  # steps without a graph, at most


@dataclass
class Row:
    """One model in one format."""

    shape: str
    format: str
    tokens_per_s: float | None = None  # by a graph
    eager_tokens_per_s: float | None = None
    of_floor: float | None = None  # by a graph, or else without
    linear_bytes: int = 0  # of the replaced layers, and norms
    read_bytes: int = 0  # for a token: with the head
    all_bytes: int = 0  # with embeddings
    peak_bytes: int | None = None  # of the device, while decoding
    error: str | None = None
    commit: str = ""  # of the code
    command: str = ""  # for an earlier run may have measured another shape


def measure(shape: str, name: str, device: str, count: int) -> Row:
    """Build, replace layer by layer, decode `RUNS` times, without a graph and with."""
    row, gpu = Row(shape, name), device == "cuda"
    capacity, made = PROMPT + count + 8, FORMATS[name]
    dtype = torch.float16 if gpu else torch.float32
    try:
        model = random_model(shape, dtype=dtype, device=device, capacity=capacity)
        if made.make:
            replace_layers(model, made.make)
        row.all_bytes = bytes_of(model)
        row.linear_bytes = bytes_of(model.model.layers)
        row.read_bytes = sum(map(bytes_of, (model.model.norm, model.lm_head)))
        row.read_bytes += row.linear_bytes
        ids = torch.arange(PROMPT, device=device)[None]
        decoder = Decoder(model, capacity)
        if gpu:
            torch.cuda.reset_peak_memory_stats()
        eager_count = min(count, EAGER_TOKENS)
        row.eager_tokens_per_s = tokens_per_second(decoder, ids, eager_count)
        if gpu and made.graph:
            decoder.capture(ids)
            row.tokens_per_s = tokens_per_second(decoder, ids, count)
        if gpu:
            row.peak_bytes = torch.cuda.max_memory_allocated()
            best = row.tokens_per_s or row.eager_tokens_per_s
            row.of_floor = row.read_bytes / bandwidth() / 1e6 * best
    except Exception as problem:
        row.error = f"{type(problem).__name__}: {problem}".splitlines()[0][:160]
    return row


def measure_in_process(shape: str, name: str, device: str, count: int) -> Row:
    """`measure` by a process of its own; a row with an error where that dies."""
    return measured_apart(measure, Row(shape, name), shape, name, device, count)


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Which models, in which formats, and how many tokens."""
    gpu = torch.cuda.is_available()
    default = ["smollm2", "llama-7b"] if gpu else ["tiny"]
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=default)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--tokens", type=int, default=128 if gpu else 4)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Print the table as it grows, and record it; what fails costs only its row."""
    gpu = torch.cuda.is_available()
    how = (
        f"greedy decoding of {options.tokens} tokens (eager: at most {EAGER_TOKENS}) "
        f"after a prompt of {PROMPT}, batch 1, static cache, median of {RUNS}, "
        "a process each; "
    )
    how += "one CUDA graph a step, and without" if gpu else "CPU: no claims"
    rows = earlier_rows(run.name, options.shapes, run.folder)
    for shape in options.shapes:
        for form in options.formats:
            device = "cuda" if gpu else "cpu"
            row = measure_in_process(shape, form, device, options.tokens)
            row = replace(row, commit=run.commit, command=run.command)
            rows.append(asdict(row))
            print(line(row), flush=True)
            record(run, {"rows": rows}, protocol=how)
    return True


def earlier_rows(name: str, shapes: list[str], folder: Path) -> list[dict[str, Any]]:
    """Rows that an earlier run kept of other shapes: those of one are one run's."""
    try:
        rows = recall(name, folder=folder).results["rows"]
    except ValueError:  # there was none
        return []
    return [row for row in rows if row["shape"] not in shapes]


def by_format(
    rows: Iterable[dict[str, Any]], shape: str
) -> dict[str, dict[str, Any] | None]:
    """The row of every format that the code knows; None until somebody measures it."""
    known = {row["format"]: row for row in rows if row["shape"] == shape}
    return {name: known.get(name) for name in FORMATS}


def line(row: Row) -> str:
    """The row in words; a dash stands for what was not measured."""
    text = f"{row.shape} {row.format:18}"
    for way, speed in (("graph", row.tokens_per_s), ("eager", row.eager_tokens_per_s)):
        text += f" {speed:8.1f}" if speed else f" {'–':>8}"
        text += f" tokens/s {way}"
    text += f" {row.of_floor:5.2f}" if row.of_floor else f" {'–':>5}"
    text += f" of floor {row.linear_bytes / 1e6:9.1f} MB of layers"
    return f"{text} {row.error or ''}".rstrip()
