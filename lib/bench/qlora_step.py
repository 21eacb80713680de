"""Milliseconds and memory of a QLoRA step, beside peft with bitsandbytes.

    python -m lib.bench qlora_step                      # on a GPU: Llama-7B's shape
    python -m lib.bench qlora_step --shape tiny --tokens 32      # anywhere: no claims

Rank 16 on all seven products of a block, NF4 with double quantization, checkpointing,
AdamW in pages, bf16 around float32 adapters. Ours is `fine_tune` with `fused_norms`, as
anybody calls it, and with both passes as one CUDA graph; theirs the same loop written
out, as transformers' Trainer runs it, with and without autocast. Random weights and
tokens: speed does not read them. Each row is a process.

The floor is three products a weight: forward, once more (checkpointing), and for the
gradient of the input, at the rate of a large bf16 product on this GPU.

Read in order: `WAYS`, `Row`, `ours`, `theirs`, `measure`, `main`.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from lib.bench.record import SEED, Run, record
from lib.bench.tokens.apart import measured_apart
from lib.bench.tokens.formats import bitsandbytes_nf4, nf4
from lib.bench.tokens.models import SHAPES, random_model, replace_layers
from lib.models.walk import linear_layers
from lib.train.loop import Recipe, fine_tune, next_token_loss
from lib.train.lora import LLAMA, LoRA
from lib.train.norms import fused_norms
from lib.train.paged_optimizer import PagedAdamW
from lib.train.qlora import adapter_parameters, add_adapters

RANK, ALPHA, RATE = 16, 32, 2e-4
PAGE = 2**26  # bytes of m and v together
WARM, TIMED = 3, 8  # steps
SIZES = {"llama-7b": ((1, 512), (4, 512), (1, 2048))}  # texts, tokens of each
SMALL = ((1, 64),)


@dataclass
class Row:
    """One way to train at one size."""

    way: str
    shape: str
    texts: int
    tokens: int  # of each text
    ms: float | None = None  # a step, median
    slowest_ms: float | None = None
    tokens_per_s: float | None = None
    floor_ms: float | None = None
    peak_bytes: int | None = (
        None  # that torch allocated, at most, from the first step on
    )
    pages_bytes: int | None = None  # of moments: in `peak_bytes` if they are ours
    first_loss: float | None = None
    last_loss: float | None = None
    error: str | None = None


Trainer = Callable[[nn.Module, Tensor, int, Callable], int]


def ours(recorded: bool) -> Trainer:
    """`fine_tune` over `QLoRALinear`; it gives the bytes of moments."""

    def train(model: nn.Module, windows: Tensor, texts: int, seen: Callable) -> int:
        replace_layers(model, nf4)
        forget_peak()
        add_adapters(model, LoRA(rank=RANK, alpha=ALPHA))
        learned = adapter_parameters(model).values()
        optimizer = PagedAdamW(learned, RATE, weight_decay=0.0, page=PAGE)
        recipe = Recipe(WARM + TIMED, batch=texts, lr=RATE, checkpointing=True)
        how = {"optimizer": optimizer, "after": seen, "recorded": recorded}
        with fused_norms(model):
            fine_tune(model, windows, recipe, **how)
        return optimizer.pages.capacity

    return train


def theirs(autocast: bool) -> Trainer:
    """peft's adapters over bitsandbytes' layers, and its paged AdamW."""

    def train(model: nn.Module, windows: Tensor, texts: int, seen: Callable) -> int:
        import bitsandbytes as bnb
        import peft

        replace_layers(model, bitsandbytes_nf4)
        forget_peak()
        model.enable_input_require_grads()
        config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(LLAMA))
        model = peft.get_peft_model(model, config)
        model.train()
        how = {"use_reentrant": False}
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)
        learned = [p for p in model.parameters() if p.requires_grad]
        optimizer = bnb.optim.PagedAdamW32bit(learned, lr=RATE, weight_decay=0.0)
        recipe = Recipe(WARM + TIMED, batch=texts)
        for step in range(1, WARM + TIMED + 1):
            ids = windows[recipe.draw(step, len(windows))]
            cast = torch.autocast("cuda", torch.bfloat16) if autocast else nullcontext()
            with cast:
                loss = next_token_loss(model, ids)
            loss.backward()
            clip_grad_norm_(learned, recipe.clip)
            optimizer.step()
            optimizer.zero_grad()
            seen(step, loss.item())
        return 8 * sum(p.numel() for p in learned)

    return train


WAYS = {
    "ours": ours(recorded=False),
    "ours, recorded": ours(recorded=True),
    "peft + bitsandbytes": theirs(autocast=False),
    "peft + bitsandbytes, autocast": theirs(autocast=True),
}


def measure(way: str, shape: str, texts: int, tokens: int, device: str) -> Row:
    """Build the model, train a few steps, and look at the clock after each."""
    gpu, row = device == "cuda", Row(way, shape, texts, tokens)
    model = random_model(shape, dtype=torch.bfloat16, device=device, capacity=tokens)
    weights = sum(layer.weight.numel() for layer in linear_layers(model).values())
    draw = torch.Generator().manual_seed(SEED)
    vocabulary = model.config.vocab_size
    ids = torch.randint(vocabulary, (2 * texts, tokens), generator=draw).to(device)
    times: list[float] = []
    losses: list[float] = []

    def seen(step: int, loss: float) -> None:
        if gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter())
        losses.append(loss)

    row.pages_bytes = WAYS[way](model, ids, texts, seen)
    took = [1e3 * (b - a) for a, b in pairwise(times)][WARM - 1 :]
    row.first_loss, row.last_loss = losses[0], losses[-1]
    if gpu:
        row.ms, row.slowest_ms = statistics.median(took), max(took)
        row.tokens_per_s = 1e3 * texts * tokens / row.ms
        row.peak_bytes = torch.cuda.max_memory_allocated()
        row.floor_ms = 3 * 2 * weights * texts * tokens / rate() * 1e3
    return row


def forget_peak() -> None:
    """The peak counts from here on, a recording's own memory included."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def rate() -> float:
    """Operations a second of a large bf16 product on this GPU."""
    a, b = torch.randn(2, 8192, 8192, device="cuda", dtype=torch.bfloat16)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for _ in range(2):  # the first warms up
        start.record()
        for _ in range(10):
            a @ b
        end.record()
        end.synchronize()
    return 10 * 2 * 8192**3 / (start.elapsed_time(end) / 1e3)


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """The shape, one size in place of the usual ones, and the ways."""
    gpu = torch.cuda.is_available()
    parser.add_argument(
        "--shape", choices=SHAPES, default="llama-7b" if gpu else "tiny"
    )
    parser.add_argument("--tokens", type=int, help="of one text; nothing else is run")
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=list(WAYS) if gpu else list(WAYS)[:2]
    )


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Print and record a row a way and size; what fails costs only its own."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = SIZES.get(options.shape, SMALL)
    if options.tokens:
        sizes = ((1, options.tokens),)
    how = (
        f"NF4 with double quantization, LoRA r = {RANK} on seven layers a block, "
        "float32 adapters, bf16 around them, checkpointing, paged AdamW, clipping; a "
        "norm of ours is one kernel; "
        f"{WARM} steps to warm up, the median of {TIMED} with the optimizer's; each "
        "row a process; floor: 6 operations a weight and token at the rate of a "
        "product of 8192²"
    )
    rows = []
    for texts, tokens in sizes:
        for way in options.ways:
            case = (way, options.shape, texts, tokens)
            row = measured_apart(measure, Row(*case), *case, device)
            rows.append(asdict(row))
            print(line(row), flush=True)
            record(run, {"rows": rows}, protocol=how)
    return all(row["error"] is None for row in rows)


def line(row: Row) -> str:
    """The row in words."""
    text = f"{row.way:30} {row.texts} x {row.tokens:4}"
    if row.ms:
        text += f" {row.ms:7.1f} ms (slowest {row.slowest_ms:.1f}, floor "
        text += f"{row.floor_ms:.1f}), {row.peak_bytes / 1e9:.2f} GB at the peak"
    return (
        f"{text}, loss {row.first_loss} to {row.last_loss} {row.error or ''}".rstrip()
    )
