"""Kernels beside the libraries that people use, and beside the floor.

    python -m lib.bench                     # the names
    python -m lib.bench int4 --sizes 4096x4096 8192x8192 --tokens 1 16
    python -m lib.bench --all               # the whole table
    python -m lib.bench int4 --tune         # measure tiles first, and keep the best
    python -m lib.bench int4 --commit 1a2b3c4   # of a copy that git does not know

Prints ours, the anchors, the floor (bytes over the best bandwidth; of the Hessian its
products) and the ratios, and writes results/NAME.json after each row. On a CPU
everything is smaller, the entries run their references, and the file is NAME_cpu.json:
it proves nothing.

An operation is a module with `measure(sizes, tokens) -> list of Row`; to add one, write
the module and name it in `OPERATIONS`.
"""

import argparse
import importlib
import sys
import traceback

import torch

from lib.bench.kernels.rows import Row, line, missing, tabulated
from lib.bench.record import record
from lib.bench.timing import bandwidth

OPERATIONS = {
    "int4": "lib.bench.kernels.int4",
    "int8": "lib.bench.kernels.int8",
    "nf4": "lib.bench.kernels.nf4",
    "nf4_dequantize": "lib.bench.kernels.nf4_dequantize",
    "cast": "lib.bench.kernels.cast",
    "gptq": "lib.bench.kernels.gptq",
    "hessian": "lib.bench.kernels.hessian",
    "wanda": "lib.bench.kernels.wanda",
}
PROTOCOL = (
    "median of CUDA-graph replays, weights rotated past L2, packing apart; floor: "
    "bytes over the best bandwidth of a 1 GiB sum, and a copy counted both ways; an "
    "anchor called …_loop has no graph: events around a loop, launches and waits too"
)
SIZES = ((4096, 4096), (8192, 8192))
CPU_SIZES = ((256, 256),)


def run(name: str, options: argparse.Namespace) -> bool:
    """Measure one operation, print and write each row; whether all of them worked."""
    gpu = torch.cuda.is_available()
    module = importlib.import_module(OPERATIONS[name])
    sizes = options.sizes or (SIZES if gpu else CPU_SIZES)
    tokens = options.tokens or (module.TOKENS if gpu else module.TOKENS[:1])
    results = {"bandwidth_bytes_per_us": bandwidth()}
    if options.tune and gpu:
        try:
            results["tuned"] = module.tune(sizes, tokens)
        except Exception as problem:  # the rule's tiles will do
            results["tuned"] = repr(problem)
            traceback.print_exc()
    how = PROTOCOL if gpu else "on a CPU, by the clock: no claims"
    rows: list[Row] = []
    print(f"{name}: microseconds", flush=True)
    for row in module.measure(sizes, tokens):
        rows.append(row)
        print(line(row), flush=True)
        results["rows"] = tabulated(rows)
        kept = name if gpu else f"{name}_cpu"
        path = record(kept, results, protocol=how, commit=options.commit)
    print(missing(rows), f"written: {path.name}", sep="\n", flush=True)
    return all(row.error is None for row in rows)


def size(text: str) -> tuple[int, int]:
    """8192x4096 → 8192 rows of 4096 columns."""
    rows, cols = text.split("x")
    return int(rows), int(cols)


def main() -> int:
    """Each operation asked for, whatever became of the one before; 1 if any failed."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(OPERATIONS))
    parser.add_argument("--all", action="store_true", help="every operation")
    parser.add_argument("--sizes", nargs="+", type=size, help="rows x columns")
    parser.add_argument("--tokens", nargs="+", type=int, help="rows of x")
    parser.add_argument("--tune", action="store_true", help="choose tiles first")
    parser.add_argument("--commit", help="of this code, where git cannot say")
    options = parser.parse_args()
    names = list(OPERATIONS) if options.all else options.names
    if unknown := [name for name in names if name not in OPERATIONS]:
        parser.error(f"no operation {unknown[0]!r}; there are: {', '.join(OPERATIONS)}")
    if not names:
        print("\n".join(OPERATIONS))
    worked = True
    for name in names:
        try:
            worked &= run(name, options)
        except Exception:  # one operation's failure is its own
            traceback.print_exc()
            worked = False
    return 0 if worked else 1


if __name__ == "__main__":
    sys.exit(main())
