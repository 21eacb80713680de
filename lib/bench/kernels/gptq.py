"""A layer's GPTQ and SparseGPT beside plain column loops, factorization included.

Both round to 4 bits in groups of 128, which are the loop's blocks, so that both read
the same weights for a grid; or both drop half of the weights, by block or 2 of 4.
`relative_error` compares E = tr(Δ H Δᵀ), what the output errs, with the loop's. Neither
fits a graph: H is checked, and a host waits for that.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lib.bench.gptq_speed import column_loop
from lib.bench.kernels.rows import Row, attempt
from lib.bench.timing import microseconds_of_a_loop
from lib.kernels.gptq import gptq_codes, sparse_weight
from lib.prune.sparsegpt import sparse_gpt
from lib.quant.solvers.gptq import GPTQ

TOKENS = (1,)  # there are none
GROUP = 128
SETTINGS = GPTQ(4, GROUP)
TOLERANCE = 0.01
REPLAYS = 5  # of a loop that takes a second

Solver = Callable[[Tensor, Tensor], Tensor]  # (W, H) → Ŵ
CASES: dict[str, tuple[Solver, Solver]] = {  # ours, and the plain loop
    "4 bits, G = 128": (
        lambda w, h: gptq_codes(w, h, SETTINGS).dequantize(),
        lambda w, h: column_loop(w, h, bits=4, group=GROUP),
    ),
    "SparseGPT 50 %": (
        lambda w, h: sparse_weight(w, h, 0.5)[0],
        lambda w, h: sparse_gpt(w, h, 0.5).weight,
    ),
    "SparseGPT 2:4": (
        lambda w, h: sparse_weight(w, h, (2, 4))[0],
        lambda w, h: sparse_gpt(w, h, (2, 4)).weight,
    ),
}


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
    """Every way, for a layer of every size."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for rows, cols in sizes:
        w, hessian = problem(rows, cols, device=device)
        for case, solvers in CASES.items():
            yield compared(case, w, hessian, *solvers)


def compared(case: str, w: Tensor, hessian: Tensor, ours: Solver, loop: Solver) -> Row:
    """How long both take, if ours errs as the plain loop does."""
    # W is read; out come codes, or half of the weights in float32 and the mask.
    nbytes = (5 if "bits" in case else 7) * w.numel() + hessian.nbytes
    row = Row(case, 0, *w.shape, nbytes)
    errors = [output_error(w, solve(w, hessian), hessian) for solve in (ours, loop)]
    row.relative_error = abs(errors[0] / errors[1] - 1)
    if row.relative_error > TOLERANCE:
        row.error = f"E is {errors[0]:.4g}, the plain loop's {errors[1]:.4g}"
    else:
        row.ours = microseconds_of_a_loop([lambda: ours(w, hessian)])
    row.baselines["column_loop"] = attempt(
        lambda: microseconds_of_a_loop([lambda: loop(w, hessian)], REPLAYS)
    )
    return row
