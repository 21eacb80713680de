"""The 4-bit product in company: what a row of its own kind leaves out.

    python -m lib.bench company                               # a minute on a GPU
    python -m lib.bench company --sizes 128x256 --tokens 1    # anywhere: no claims

Back to back, chained launches overlap: a call asks for its weights while the one before
still runs. Ordinary kernels let nobody start early, and nothing overlaps. So every
product is timed both ways: back to back, and between ordinary small kernels, whose time
is taken off; ours launched plainly, as it is everywhere but inside of `chained`, and
chained. Lecture 16 shows the table.

Read in order: `measure`, `main`.
"""

import argparse
from collections.abc import Iterator
from functools import partial

import torch

from lib.bench.kernels.int4 import BASELINES, TOLERANCE, random_int4
from lib.bench.kernels.rows import Row, in_company, measured
from lib.bench.kernels.table import size, tabulate
from lib.bench.record import Run
from lib.kernels.int4 import int4_product, int4_reference, int4_tile

TOKENS = (1, 4, 16)
SIZES = ("8192x8192", "4096x4096", "11008x4096", "4096x11008", "14336x4096")
BESIDE = ("cublas", "tinygemm", "marlin")
PROTOCOL = (
    "fp16, symmetric groups of 128; median of CUDA-graph replays, weights rotated past "
    "L2; NAME alone: back to back; NAME: an ordinary kernel of 4,096 additions between "
    "two calls, and its time taken off"
)


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every size and number of tokens; `company` of a row has its times in µs."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for n, k in sizes:
        weights = random_int4(n, k, symmetric=True, device=device)
        for m in tokens:
            x = torch.randn(m, k, device=device).half()
            nbytes = weights[0].nbytes + x.nbytes + m * n * x.element_size()
            row = Row("fp16 symmetric", m, n, k, nbytes)
            if device == "cuda":
                row.tile = str(int4_tile(x, weights[0]))
            exact = int4_reference(x.double(), weights[0], dtype=torch.float64)
            calls = [lambda w=w, x=x: int4_product(x, w) for w in weights]
            measured(row, calls, exact, TOLERANCE[x.dtype], {})
            if row.error is None:
                beside = {name: partial(BASELINES[name], x, n) for name in BESIDE}
                in_company(row, calls, beside)
            yield row


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Which sizes, and how many tokens."""
    sizes = [size(text) for text in SIZES]
    parser.add_argument("--sizes", nargs="+", type=size, default=sizes, help="NxK")
    parser.add_argument("--tokens", nargs="+", type=int, default=TOKENS)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure, print and record each row; whether all of them worked."""
    return tabulate(run, measure(options.sizes, options.tokens), PROTOCOL)
