"""Real FP8: the product beside bf16's, and a small GPT that trains by it.

    python -m lib.bench fp8                 # on an H100: some 2 minutes

`products`: X (tokens × d) times Wᵀ (d × d), by sizes. `ready` has its operands in FP8;
`with casts` finds both maxima and casts both operands, as a training step has to.

`training`: the same start and batches in each arm, three seeds: autocast's bf16, and
the linear layers of the blocks by `torch._scaled_mm` (lib.train.precision.fp8.native),
its casts by torch or compiled. The rest of a step (norms, attention, loss, Adam with
fp32 weights) is the same in all. A step's time is the median, by the clock, waiting for
the GPU.

Read in order: `products`, `ARMS`, `train`, `main`.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import cache, lru_cache

import torch
from torch import Tensor
from torch.optim import AdamW

from lib.bench.precision.divergence import EVERY, finite
from lib.bench.precision.gpt import (
    Linear,
    Shape,
    batches,
    held_out,
    letter_losses,
    plain,
    start,
)
from lib.bench.pruning.characters import texts
from lib.bench.record import Run, record
from lib.bench.timing import microseconds
from lib.formats import FP8_E4M3
from lib.train.precision.fp8 import NATIVE, codes, native, scaled_codes, scaled_mm
from lib.train.precision.matmul import Recipe, linear

WARMUP = 10  # steps that are not timed


def device() -> str:
    """Where this runs."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@cache
def compiled() -> Callable[..., tuple[Tensor, Tensor]]:
    """`codes` in a few fused kernels; every shape has its own."""
    torch._dynamo.config.recompile_limit = 64
    fused = torch.compile(scaled_codes, dynamic=False, fullgraph=True)
    return lambda a, fmt: fused(a, fmt.max, NATIVE[fmt])


def products(tokens: int, widths: list[int]) -> Iterator[dict]:
    """Microseconds of one Fprop by width."""
    cast = compiled() if device() == "cuda" else codes
    for width in widths:
        x = torch.randn(tokens, width, device=device(), dtype=torch.bfloat16)
        w = torch.randn(width, width, device=device(), dtype=torch.bfloat16)
        ready = codes(x, FP8_E4M3), codes(w, FP8_E4M3)

        def product(
            a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor], fast: bool = False
        ) -> Tensor:
            return scaled_mm(a, b, dtype=torch.bfloat16, fast=fast)

        calls = {
            "bf16": lambda x=x, w=w: x @ w.t(),
            "ready": lambda ready=ready: product(*ready),
            "ready, fast sums": lambda ready=ready: product(*ready, fast=True),
            "with casts": lambda x=x, w=w: product(
                cast(x, FP8_E4M3), cast(w, FP8_E4M3)
            ),
        }
        times = {name: round(microseconds([call]), 2) for name, call in calls.items()}
        yield {"tokens": tokens, "width": width, "microseconds": times}


def by(recipe: Recipe) -> Linear:
    """The layers' products by this recipe, their results in bf16."""

    def product(x: Tensor, w: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return linear(x.to(torch.bfloat16), w, recipe)

    return product


@lru_cache(maxsize=1)
def begin(shape: Shape, seed: int) -> dict[str, Tensor]:
    """One net's start, the same for each arm."""
    return start(shape, [seed])


ARMS: dict[str, Callable[[], Linear]] = {
    "bf16": lambda: plain,
    "fp8": lambda: by(native()),
    "fp8, casts compiled": lambda: by(native(compiled())),
}


def train(name: str, seed: int, shape: Shape, options: argparse.Namespace) -> dict:
    """One run: losses every few steps, milliseconds a step, nats on the test play."""
    multiply, where = ARMS[name](), device()
    net = {n: w.to(where, copy=True) for n, w in begin(shape, seed).items()}
    for w in net.values():
        w.requires_grad_()
    optimizer = AdamW(net.values(), lr=options.rate, betas=(0.9, 0.95), fused=True)
    text = texts()[0].to(where)
    at = batches([seed], shape, steps=options.steps, batch=options.batch).to(where)
    run, losses, times = torch.arange(shape.window + 1, device=where), [], []
    for step in range(options.steps):
        runs = text[at[:, step, :, None] + run]
        _wait()
        began = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = options.rate * min(1.0, (step + 1) / 20)
        with torch.autocast(where, torch.bfloat16):
            loss = letter_losses(net, runs, shape, multiply)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        _wait()
        times.append(1e3 * (time.perf_counter() - began))
        losses.append(loss.detach())
    with torch.no_grad(), torch.autocast(where, torch.bfloat16):
        test = letter_losses(net, held_out(shape, options.batch).to(where)[None], shape)
    course = torch.stack(losses).cpu().unfold(0, EVERY, EVERY).mean(-1)
    return {
        "arm": name,
        "seed": seed,
        "ms": round(statistics.median(times[WARMUP:] or times), 3),
        "losses": finite(course[:, 0]),
        "test": finite(test.cpu())[0],
    }


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How large, how long, and which arms."""
    gpu = torch.cuda.is_available()
    parser.add_argument("--widths", type=int, nargs="+", default=_sizes(gpu))
    parser.add_argument("--tokens", type=int, default=8192 if gpu else 64)
    parser.add_argument("--width", type=int, default=2048 if gpu else 32)
    parser.add_argument("--blocks", type=int, default=8 if gpu else 1)
    parser.add_argument("--window", type=int, default=512 if gpu else 16)
    parser.add_argument("--batch", type=int, default=16 if gpu else 2)
    parser.add_argument("--steps", type=int, default=150 if gpu else 20)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--seeds", type=int, default=3)
    arms = [*ARMS] if gpu else [*ARMS][:2]
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=arms)


def _sizes(gpu: bool) -> list[int]:
    return [1024, 2048, 4096, 8192] if gpu else [32]


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Both tables; recorded after each row."""
    heads = max(1, options.width // 128)
    shape = Shape(options.width, options.blocks, heads, options.window)
    protocol = (
        f"products: median of CUDA-graph replays; training: {shape}, next letter, "
        f"{options.steps} steps of {options.batch} runs, AdamW β = 0.9, 0.95 at "
        f"{options.rate}; ms: median of a step after {WARMUP}; test: nats a letter of "
        f"{options.batch} runs of The Tempest, by bf16"
    )
    results: dict[str, list] = {"products": [], "training": []}
    for one in products(options.tokens, options.widths):
        results["products"].append(one)
        record(run, results, protocol=protocol)
        print(one, flush=True)
    for seed in range(options.seeds):
        for arm in options.arms:
            one = train(arm, seed, shape, options)
            results["training"].append(one)
            record(run, results, protocol=protocol)
            print(arm, seed, f"{one['ms']} ms, test {one['test']}", flush=True)
    return True
