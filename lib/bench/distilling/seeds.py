"""One row a seed, recorded as soon as it is there; a run goes on where it was.

Read in order: `add_seeds`, `by_seed`.
"""

import argparse
import json
from collections.abc import Callable

from lib.bench.record import Run, processor_name, record
from lib.progress import progress


def add_seeds(parser: argparse.ArgumentParser) -> None:
    """How many seeds."""
    parser.add_argument("--seeds", type=int, default=5)


def by_seed(
    run: Run,
    seeds: int,
    measure: Callable[[int], dict],
    protocol: str,
    *,
    device: str = "cpu",
) -> bool:
    """Measure each seed that this commit has not measured yet, and record."""
    path = run.folder / f"{run.name}.json"
    rows = []
    if path.is_file() and json.loads(path.read_text())["commit"] == run.commit:
        rows = json.loads(path.read_text())["results"]["rows"]
    done = {row["seed"] for row in rows}
    for seed in progress([s for s in range(seeds) if s not in done], "seeds"):
        rows.append({"seed": seed} | measure(seed))
        where = processor_name() if device == "cpu" else None  # the GPU's own name
        record(run, {"rows": rows}, protocol=protocol, device=where)
    return True
