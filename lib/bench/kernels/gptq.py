"""A layer's GPTQ beside the plain column loop in torch, factorization included.

Both round to 4 bits in groups of 128, which are the loop's blocks, so that both read
the same weights for a grid. `relative_error` compares E = tr(Δ H Δᵀ), what the output
errs, with the loop's. Neither fits a graph: H is checked, and a host waits for that.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from lib.bench.gptq_speed import column_loop
from lib.bench.kernels.rows import Row, attempt
from lib.bench.timing import microseconds_of_a_loop
from lib.kernels.gptq import gptq_codes
from lib.quant.solvers.gptq import GPTQ

TOKENS = (1,)  # there are none
GROUP = 128
SETTINGS = GPTQ(4, GROUP)
TOLERANCE = 0.01


def problem(rows: int, cols: int, *, device: str) -> tuple[Tensor, Tensor]:
    """Normal weights, and H of correlated inputs, two for each feature."""
    mix = torch.randn(cols, cols, device=device) / cols**0.5
    x = torch.randn(2 * cols, cols, device=device)
    x += x @ mix
    return torch.randn(rows, cols, device=device), x.T @ x / cols


def output_error(w: Tensor, rounded: Tensor, hessian: Tensor) -> float:
    """E."""
    delta = (w - rounded).double()
    return ((delta @ hessian.double()) * delta).sum().item()


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """A layer of every size."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for rows, cols in sizes:
        w, hessian = problem(rows, cols, device=device)

        def loop(w: Tensor = w, hessian: Tensor = hessian) -> Tensor:
            return column_loop(w, hessian, bits=4, group=GROUP)

        row = Row("4 bits, G = 128", 0, rows, cols, 5 * w.numel() + hessian.nbytes)
        ours = gptq_codes(w, hessian, SETTINGS).dequantize()
        errors = [output_error(w, rounded, hessian) for rounded in (ours, loop())]
        row.relative_error = abs(errors[0] / errors[1] - 1)
        if row.relative_error > TOLERANCE:
            row.error = f"E is {errors[0]:.4g}, the plain loop's {errors[1]:.4g}"
        else:
            row.ours = microseconds_of_a_loop(
                [lambda w=w, h=hessian: gptq_codes(w, h, SETTINGS)]
            )
        row.baselines["column_loop"] = attempt(
            lambda loop=loop: microseconds_of_a_loop([loop])
        )
        yield row
