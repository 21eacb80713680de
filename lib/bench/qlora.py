"""QLoRA by data type of the frozen weights, over seeds: the deck's table, in small.

    python -m lib.bench qlora             # SmolLM2 on Python's help: a minute a run
    python -m lib.bench qlora_long        # twelve times over all of it: on a GPU

For each seed the same draw of A and the same batches meet BFloat16, FP4, NF4 and NF4
with double quantization; so the data types differ by nothing else. Loss in nats a
token, before and after, on topics that were held out and on *Hamlet* (what the model
forgets); and, from NF4 with double quantization, after a merge into the codes. The long
run is in bf16 around float32 adapters, its passes recorded, and looks at both losses as
it goes.

Read in order: `Length`, `base`, `rows`, `main`.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lib.bench.record import Run, record
from lib.data.text import play, python_docs, token_windows
from lib.models.evaluate import window_losses
from lib.models.load import load_model
from lib.models.walk import map_weights
from lib.progress import progress
from lib.quant.codebooks.normal_float import NormalFloat
from lib.train.loop import Recipe, fine_tune
from lib.train.lora import LoRA
from lib.train.merge import merge_into_codes
from lib.train.norms import fused_norms
from lib.train.qlora import add_adapters, quantize_base

WINDOW = 256


@dataclass(frozen=True)
class Length:
    """How long, how fast, and how many windows are held out, the last of the help."""

    steps: int
    batch: int
    lr: float
    warmup: int
    held_out: int
    every: int  # steps between two looks; 0: only before and after

    def recipe(self, seed: int) -> Recipe:
        """As `fine_tune` takes it."""
        return Recipe(self.steps, self.batch, self.lr, self.warmup, clip=1.0, seed=seed)


LENGTHS = {
    "qlora": Length(steps=8, batch=1, lr=1e-3, warmup=0, held_out=4, every=0),
    "qlora_long": Length(600, batch=8, lr=3e-4, warmup=20, held_out=40, every=50),
}
ADAPTER = LoRA(rank=8, alpha=16)
BASES = {
    "BFloat16": None,
    "Float4": NormalFloat("fp4"),
    "NFloat4": NormalFloat("nf4"),
    "NFloat4 + DQ": NormalFloat("nf4", double=True),
}


def base(kind: str, device: str) -> tuple[nn.Module, float]:
    """SmolLM2 with its linear layers' weights in this type, and bits a weight.

    On a GPU the rest of it is in bf16.
    """
    model, _ = load_model()
    if device == "cuda":
        model = model.to(device, torch.bfloat16)
    if (method := BASES[kind]) is None:
        map_weights(model, lambda name, w: w.bfloat16().to(w))
        return model, 16.0
    return model, quantize_base(model, method).bits_per_weight


def mean_loss(model: nn.Module, windows: Tensor) -> float:
    """Nats a token."""
    return window_losses(model, windows).mean().item()


def rows(
    texts: dict[str, Tensor], train: Tensor, length: Length, seeds: int, device: str
) -> Iterator[dict[str, Any]]:
    """A row for each data type and seed."""
    before: dict[str, dict[str, float]] = {}
    for seed in range(seeds):
        for kind in progress(BASES, f"seed {seed}"):
            began = time.perf_counter()
            model, bits = base(kind, device)
            row: dict[str, Any] = {"base": kind, "bits_per_weight": bits, "seed": seed}
            if kind not in before:
                losses = {f"{n}_before": mean_loss(model, w) for n, w in texts.items()}
                before[kind] = losses
            row |= before[kind]
            add_adapters(model, ADAPTER, seed=seed)
            looks: list[dict[str, float]] = []

            def look(step: int, loss: float, model=model, looks=looks) -> None:
                if length.every and step % length.every == 0:
                    seen = {n: mean_loss(model, w) for n, w in texts.items()}
                    looks.append({"step": step, **seen})

            how = {"after": look, "recorded": device == "cuda"}
            with fused_norms(model) if device == "cuda" else nullcontext():
                row["train"] = fine_tune(model, train, length.recipe(seed), **how)
            row["looks"] = looks
            row |= {f"{n}_after": mean_loss(model, w) for n, w in texts.items()}
            row["seconds"] = time.perf_counter() - began
            if kind == "NFloat4 + DQ":
                merge = merge_into_codes(model)
                row["merge_kept"] = merge.kept
                row["help_merged"] = mean_loss(model, texts["help"])
            yield row


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How long, and how often."""
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=LENGTHS[name].steps)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure, and record after every row."""
    length = replace(LENGTHS[name], steps=options.steps)
    gpu = name == "qlora_long" and torch.cuda.is_available()
    device, held_out = "cuda" if gpu else "cpu", length.held_out
    tokenizer = load_model()[1]
    help_windows = token_windows(python_docs(), tokenizer, window=WINDOW).to(device)
    tokens = held_out * WINDOW
    hamlet = token_windows(play("hamlet"), tokenizer, window=WINDOW, tokens=tokens)
    texts = {"help": help_windows[-held_out:], "hamlet": hamlet.to(device)}
    how = (
        f"SmolLM2, {ADAPTER}; {length.steps} steps of {length.batch} windows of "
        f"{WINDOW} tokens of Python's help ({len(help_windows) - held_out} of them), "
        f"lr {length.lr:g} after {length.warmup} steps of warm-up, clip 1; loss in "
        f"nats a token on its last {held_out} windows, held out, and on the first "
        f"{held_out} of Hamlet; "
    ) + ("bf16 around float32 adapters" if gpu else "products in float32")
    done = []
    for row in rows(texts, help_windows[:-held_out], length, options.seeds, device):
        done.append(row)
        path = record(run, {"rows": done}, protocol=how)
        print({k: v for k, v in row.items() if k != "train"}, flush=True)
    print(path.name)
    return True
