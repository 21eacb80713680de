"""Perplexity of SmolLM2 whose cache keeps full blocks in 2 to 8 bits.

    python -m lib.bench kv_cache

Keys by channel and values by token, as KIVI has it, and each of the two turned round.
Each window is read 16 tokens at a time, so that a token sees all blocks before its own
as the cache keeps them. Every row keeps the loss of each window. Lecture 14 draws it.
Read in order: `row`, `main`.
"""

import argparse
import math
from typing import Any

import torch

from lib.bench.record import Run, record
from lib.decode.cache import Shape
from lib.decode.kivi import KIVI, CachedModel
from lib.decode.paged import BLOCK, PagedCache
from lib.models.evaluate import EvaluationProtocol, window_losses
from lib.models.load import load_model

BITS = (4, 2, 8, 3)
LAYOUTS = (("channel", "token"), ("token", "token"), ("channel", "channel"))


def row(model, windows, settings: KIVI | None) -> dict[str, Any]:
    """Perplexity, each window's loss in nats, and the bits of a stored number."""

    def cache(shape: Shape, count: int) -> PagedCache:
        return PagedCache(shape, count, *([settings.blocks] if settings else []))

    shape = Shape.of(model)
    nats = window_losses(CachedModel(model, cache), windows, batch=4)
    numbers = shape.token_bytes / shape.dtype.itemsize
    held = settings.blocks(shape, 1).token_bits if settings else 8 * shape.token_bytes
    return {
        "bits": settings.bits if settings else None,
        "keys": settings.keys if settings else None,
        "values": settings.values if settings else None,
        "bits_per_number": held / numbers,
        "perplexity": math.exp(nats.mean().item()),
        "window_nats": nats.tolist(),
    }


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Which texts; every layout in every number of bits."""
    parser.add_argument("--text", nargs="+", default=["hamlet", "python_docs"])
    parser.add_argument("--tokens", type=int, default=4096, help="of each text")


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure every layout on every text, and record after each row."""
    model, tokenizer = load_model()
    if torch.cuda.is_available():
        model = model.cuda()
    protocols = [EvaluationProtocol(t, options.tokens) for t in options.text]
    plans = [None, *(KIVI(bits, *layout) for bits in BITS for layout in LAYOUTS)]
    rows = []
    for protocol in protocols:
        windows = protocol.windows(tokenizer).to(model.device)
        for plan in plans:
            rows.append({"text": protocol.text, **row(model, windows, plan)})
            how = "; ".join(map(str, protocols)) + f"; {BLOCK} tokens a pass"
            print(record(run, {"rows": rows}, protocol=how).name, len(rows))
    return True
