"""What few bits sound like: SmolLM2 goes on from one prompt, rounded or by GPTQ.

    python -m lib.bench sentences         # some minutes on one core

Greedy, so that only the weights differ. Lectures 03 and 06 print the sentences. They
are one sample of a model's writing each, not a measure of it.

Read in order: `written`, `main`.
"""

import argparse
import copy
from typing import Any

import torch

from lib.bench.record import Run, processor_name, record
from lib.data.text import calibration_windows
from lib.models.evaluate import generate
from lib.models.load import load_model
from lib.models.packed_file import dense
from lib.models.quantize import quantize_model
from lib.quant.solvers.gptq import GPTQ
from lib.quant.uniform.grouped import RoundToNearest

PROMPT = "The best way to learn a language is"
TOKENS = 24
WINDOWS = 4  # of calibration
BEST = {"act_order": True, "static_groups": True}


def written(method: Any) -> str:
    """What the model writes after the prompt, its layers quantized by `method`."""
    model, tokenizer = load_model()
    if method is not None:
        text = calibration_windows(tokenizer, count=WINDOWS, window=512)
        model = copy.deepcopy(model)
        quantize_model(model, method, text if method.calibrated else None)
        model = dense(model)
    return generate(model, tokenizer, PROMPT, max_new_tokens=TOKENS)


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Which widths."""
    parser.add_argument("--bits", nargs="+", type=int, default=[8, 4, 3, 2])


@torch.inference_mode()
def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Write, and record after each sentence."""
    methods: list[Any] = [None]
    methods += [RoundToNearest(bits) for bits in options.bits]
    methods += [GPTQ(bits, **BEST) for bits in options.bits if bits < 4]
    results: dict[str, Any] = {"prompt": PROMPT, "rows": []}
    for method in methods:
        row = {"method": "float32" if method is None else type(method).__name__}
        row |= {"bits": getattr(method, "bits", 32), "text": written(method)}
        results["rows"].append(row)
        how = (
            f"greedy, {TOKENS} tokens; groups of 64; GPTQ with act-order and static "
            f"groups, on {WINDOWS} windows of the calibration plays"
        )
        path = record(run, results, protocol=how, device=processor_name())
        print(row, flush=True)
    print(path.name)
    return True
