"""GPTQ's time beside a baseline's, on the same matrices in the same run.

    python -m lib.bench gptq_speed        → results/gptq_speed.json

The baseline, `column_loop`, is the algorithm as it is usually written: W row-major, H
inverted by one Cholesky factor and factored by another, blocks of 128, a group's grid
read from the matrix when its first column comes up (so, inside a block, without that
block's errors).
Times are the least of several runs, alternating, so that both meet the same machine.

Read in order: `column_loop`, `compare`, `main`.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lib.bench.record import Run, processor_name, record
from lib.data.text import calibration_windows
from lib.models.hooks import stream_inputs
from lib.models.load import load_model
from lib.models.quantize import quantize_model
from lib.models.walk import linear_layers
from lib.progress import progress
from lib.quant.hessian import Hessian
from lib.quant.solvers.gptq import GPTQ, gptq
from lib.quant.uniform.grid import fit_grid

RUNS = 5
BLOCK = 12  # of the model, whose layers are timed


def column_loop(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    *,
    bits: int,
    group: int,
    block: int = 128,
    damping: float = 0.01,
) -> Float[Tensor, "rows cols"]:
    """Ŵ by the plain loop over columns."""
    w, h = w.clone(), hessian.to(w.dtype).clone()
    h.diagonal().add_(damping * h.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
    factor = torch.linalg.cholesky(inverse, upper=True)
    rounded = torch.zeros_like(w)
    for start in range(0, w.shape[1], block):
        stop = min(start + block, w.shape[1])
        part, errors = w[:, start:stop].clone(), torch.zeros_like(w[:, start:stop])
        u = factor[start:stop, start:stop]
        for j in range(stop - start):
            if (start + j) % group == 0:
                here = w[:, start + j : start + j + group]
                grid = fit_grid(here, bits=bits, group="channel")
                scale, zero = grid.scale, grid.zero
            column = part[:, j : j + 1]
            codes = ((column / scale).round() + zero).clamp(0, 2**bits - 1)
            level = scale * (codes - zero)
            rounded[:, start + j] = level[:, 0]
            error = (column - level) / u[j, j]
            part[:, j:] -= error @ u[j : j + 1, j:]
            errors[:, j] = error[:, 0]
        w[:, stop:] -= errors @ factor[start:stop, stop:]
    return rounded


def compare(
    w: Float[Tensor, "rows cols"], hessian: Float[Tensor, "cols cols"]
) -> dict[str, float]:
    """Seconds and output errors of both, for 4 bits in groups of 64."""
    ways: dict[str, Callable[[], Tensor]] = {
        "column_loop": lambda: column_loop(w, hessian, bits=4, group=64),
        "gptq": lambda: gptq(w, hessian, GPTQ(4, 64)).dequantize(),
    }
    row: dict[str, float] = {}
    for _ in range(RUNS):
        for name, way in ways.items():
            began = time.perf_counter()
            rounded = way()
            seconds = time.perf_counter() - began
            row[f"{name}_s"] = min(seconds, row.get(f"{name}_s", seconds))
            delta = (w - rounded).double()
            row[f"{name}_error"] = ((delta @ hessian) * delta).sum().item()
    return row


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """There are none: one model, one setting."""


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Time the layers of one block, then a whole model's pass, and record both."""
    model, tokenizer = load_model()
    windows = calibration_windows(tokenizer, count=32, window=512)
    layers = {n: m for n, m in linear_layers(model).items() if f".{BLOCK}." in n}
    moments = {name: Hessian(layer.in_features) for name, layer in layers.items()}
    stream_inputs(model, windows[:8], {name: m.add for name, m in moments.items()})
    rows: dict[str, Any] = {
        name: compare(layer.weight, moments[name].matrix)
        for name, layer in progress(layers.items(), "layers", total=len(layers))
    }
    began = time.perf_counter()
    quantize_model(model, GPTQ(4, 64), windows)
    rows["whole_model_s"] = time.perf_counter() - began
    how = (
        f"SmolLM2, 4 bits, groups of 64; least of {RUNS} alternating runs; the whole "
        "model with 32 calibration windows of 512, once"
    )
    print(record(run, rows, protocol=how, device=processor_name()).name)
    return True
