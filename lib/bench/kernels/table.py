"""A kernel's table: beside the libraries that people use, and beside the floor.

    python -m lib.bench int4 --sizes 4096x4096 8192x8192 --tokens 1 16
    python -m lib.bench int4 --tune             # choose tiles, and measure nothing
    python -m lib.bench int4 --commit 1a2b3c4   # of a copy that git does not know
    python -m lib.bench kernels                 # all of them

Prints ours, the baselines, the floor (bytes over the best bandwidth; of the Hessian its
products) and the ratios, and records after each row. On a CPU everything is smaller,
and the entries run their references: it proves nothing.

A kernel's module has `measure(sizes, tokens)`, which yields rows, and `TOKENS`; where
there are tiles to choose, `tune(sizes, tokens)` writes them into the table of tiles.
Commit that table before measuring: a run is refused where it differs from the commit.
"""

import argparse
import importlib
from collections.abc import Iterable
from types import ModuleType

import torch

from lib.bench.kernels.rows import Row, line, missing, tabulated
from lib.bench.record import Run, record
from lib.bench.timing import bandwidth

PROTOCOL = (
    "median of CUDA-graph replays, weights rotated past L2, packing not counted; "
    "floor: bytes over the best bandwidth of a 1 GiB sum, and a copy counted both "
    "ways; a baseline called …_loop has no graph: events around a loop, launches and "
    "waits too"
)
SIZES = ((4096, 4096), (8192, 8192))
CPU_SIZES = ((256, 256),)
PRUNED = ("wanda", "two_of_four")


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Which sizes and how many tokens; or tiles instead of a measurement."""
    parser.add_argument("--sizes", nargs="+", type=size, help="rows x columns")
    parser.add_argument("--tokens", nargs="+", type=int, help="rows of x")
    parser.add_argument(
        "--tune", action="store_true", help="choose tiles, and measure nothing"
    )


def size(text: str) -> tuple[int, int]:
    """8192x4096 → 8192 rows of 4096 columns; ValueError for any other form."""
    rows, cols = text.split("x")
    return int(rows), int(cols)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure one operation, print and record each row; whether all of them worked."""
    print(f"{name}: microseconds", flush=True)
    return tabulate(run, _module(name).measure(*_cases(name, options)))


def tabulate(run: Run, measured: Iterable[Row], protocol: str = PROTOCOL) -> bool:
    """Print and record each row as it is there; whether all of them worked."""
    results = {"bandwidth_bytes_per_us": bandwidth()}
    gpu = torch.cuda.is_available()
    how = protocol if gpu else "on a CPU, by the clock: no claims"
    rows: list[Row] = []
    for row in measured:
        rows.append(row)
        print(line(row), flush=True)
        results["rows"] = tabulated(rows)
        path = record(run, results, protocol=how)
    print(missing(rows), f"written: {path.name}", sep="\n", flush=True)
    return all(row.error is None for row in rows)


def tune(name: str, options: argparse.Namespace) -> bool:
    """Choose the tiles of one operation, if there is a choice, and keep the best."""
    choose = getattr(_module(name), "tune", None)
    if choose is None:
        print(f"{name}: one tile for all")
    else:
        choose(*_cases(name, options))
    return True


def _module(name: str) -> ModuleType:
    """Of an operation; those on pruned matrices have a folder of their own."""
    folder = "pruned." if name in PRUNED else ""
    return importlib.import_module(f"lib.bench.kernels.{folder}{name}")


def _cases(
    name: str, options: argparse.Namespace
) -> tuple[list[tuple[int, int]], list[int]]:
    """The sizes and the numbers of tokens that are asked for, or this machine's."""
    gpu, known = torch.cuda.is_available(), _module(name).TOKENS
    sizes = options.sizes or (SIZES if gpu else CPU_SIZES)
    return sizes, options.tokens or (known if gpu else known[:1])
