"""What the small experiments on a text have in common: how much text, and a record.

A module has `measure(protocol)`, which gives what is recorded; `loss` is what each of
its rows says of a model. Read in order: `add_options`, `loss`, `recorded`.
"""

import argparse
import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lib.bench.record import Run, processor_name, record
from lib.models.evaluate import EvaluationProtocol


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How much text."""
    parser.add_argument("--tokens", type=int, default=512, help="of Hamlet")


def loss(nats: Float[Tensor, " windows"]) -> dict[str, Any]:
    """A model's perplexity, and each window's nats a prediction."""
    return {"perplexity": math.exp(nats.mean().item()), "window_nats": nats.tolist()}


@torch.inference_mode()
def recorded(
    run: Run,
    options: argparse.Namespace,
    measure: Callable[[EvaluationProtocol], dict[str, Any]],
    how: str = "",
) -> bool:
    """Measure on the processor, and record; `how` is what the protocol says besides."""
    protocol = EvaluationProtocol(tokens=options.tokens)
    said, device = f"{protocol}{how}", processor_name()
    print(record(run, measure(protocol), protocol=said, device=device).name)
    return True
