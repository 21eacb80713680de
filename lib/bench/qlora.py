"""QLoRA by data type of the frozen weights, over seeds: the deck's table, in small.

    python -m lib.bench qlora             # SmolLM2 on Python's help: a minute a run

For each seed the same draw of A and the same batches meet BFloat16, FP4, NF4 and NF4
with double quantization; so the data types differ by nothing else. Loss in nats a
token, before and after, on topics that were held out and on *Hamlet* (what the model
forgets); and, from NF4 with double quantization, after a merge into the codes.
"""

import argparse
from collections.abc import Iterator
from typing import Any

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
from lib.train.qlora import add_adapters, quantize_base

WINDOW, HELD_OUT = 256, 4  # the last windows of the help are never trained on
ADAPTER = LoRA(rank=8, alpha=16)
BASES = {
    "BFloat16": None,
    "Float4": NormalFloat("fp4"),
    "NFloat4": NormalFloat("nf4"),
    "NFloat4 + DQ": NormalFloat("nf4", double=True),
}


def base(kind: str) -> tuple[nn.Module, float]:
    """SmolLM2 with its linear layers' weights in this type, and bits a weight."""
    model, _ = load_model()
    if (method := BASES[kind]) is None:
        map_weights(model, lambda name, w: w.bfloat16().float())
        return model, 16.0
    return model, quantize_base(model, method).bits_per_weight


def mean_loss(model: nn.Module, windows: Tensor) -> float:
    """Nats a token."""
    return window_losses(model, windows).mean().item()


def rows(
    texts: dict[str, Tensor], train: Tensor, steps: int, seeds: int
) -> Iterator[dict[str, Any]]:
    """A row for each data type and seed."""
    before: dict[str, dict[str, float]] = {}
    for seed in range(seeds):
        for kind in progress(BASES, f"seed {seed}"):
            model, bits = base(kind)
            row: dict[str, Any] = {"base": kind, "bits_per_weight": bits, "seed": seed}
            if kind not in before:
                losses = {f"{n}_before": mean_loss(model, w) for n, w in texts.items()}
                before[kind] = losses
            row |= before[kind]
            add_adapters(model, ADAPTER, seed=seed)
            recipe = Recipe(steps=steps, lr=1e-3, clip=1.0, seed=seed)
            row["train"] = fine_tune(model, train, recipe)
            row |= {f"{n}_after": mean_loss(model, w) for n, w in texts.items()}
            if kind == "NFloat4 + DQ":
                merge = merge_into_codes(model)
                row["merge_kept"] = merge.kept
                row["help_merged"] = mean_loss(model, texts["help"])
            yield row


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How long, and how often."""
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure, and record after every row."""
    tokenizer = load_model()[1]
    help_windows = token_windows(python_docs(), tokenizer, window=WINDOW)
    tokens = HELD_OUT * WINDOW
    hamlet = token_windows(play("hamlet"), tokenizer, window=WINDOW, tokens=tokens)
    texts = {"help": help_windows[-HELD_OUT:], "hamlet": hamlet}
    how = (
        f"SmolLM2, {ADAPTER}; {options.steps} steps of one window of {WINDOW} tokens "
        f"of Python's help, lr 1e-3, clip 1; loss in nats a token on its last "
        f"{HELD_OUT} windows, held out, and on the first {HELD_OUT} of Hamlet; "
        "products in float32"
    )
    done = []
    for row in rows(texts, help_windows[:-HELD_OUT], options.steps, options.seeds):
        done.append(row)
        path = record(run, {"rows": done}, protocol=how)
    print(path.name)
    return True
