"""A row of a kernel's table: our time, the anchors' times, the floor, the error.

Read in order: `Row`, `measured`, `attempt`, `show`; `best_tiles` for --tune.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from lib.bench.timing import bandwidth, microseconds
from lib.kernels.tiles import MEASURED, Tile, bucket, keep

Calls = Sequence[Callable[[], object]]


@dataclass
class Row:
    """One case. Times are microseconds; `anchors` maps a name to a time or a reason."""

    case: str
    m: int
    n: int
    k: int
    nbytes: int  # that must move
    ours: float | None = None
    anchors: dict[str, float | str] = field(default_factory=dict)
    relative_error: float | None = None  # ‖y - exact‖ / ‖exact‖, exact in float64
    error: str | None = None
    tile: str = ""

    @property
    def floor(self) -> float | None:
        """The least time that the bytes take."""
        speed = bandwidth()
        return self.nbytes / speed if speed else None

    @property
    def best_anchor(self) -> float | None:
        """The fastest anchor's time."""
        times = [t for t in self.anchors.values() if isinstance(t, float)]
        return min(times, default=None)


def relative_error(y: Tensor, exact: Tensor) -> float:
    """‖y - exact‖ / ‖exact‖; infinite where y is not finite."""
    error = (y.double() - exact).norm() / exact.norm()
    return error.item() if error.isfinite() else float("inf")


def measured(
    row: Row, calls: Calls, exact: Tensor, tolerance: float, anchors: dict[str, Any]
) -> Row:
    """Fill in the row: is it right, how long does it take, and how long do the anchors.

    `anchors` maps a name to a function that makes its calls; whatever fails is noted.
    """
    try:
        error = relative_error(calls[0](), exact)
        if not error <= tolerance:
            row.error = f"relative error {error:.2e}, above {tolerance:.0e}"
            return row
        row.relative_error = error
        row.ours = microseconds(calls)
    except Exception as problem:
        row.error = attempt_text(problem)
    for name, make in anchors.items():
        row.anchors[name] = attempt(make)
    return row


def attempt(make: Callable[[], Calls]) -> float | str:
    """The anchor's time, or why there is none."""
    try:
        return microseconds(make())
    except Exception as problem:
        return attempt_text(problem)


def attempt_text(problem: Exception) -> str:
    """A failure in one line."""
    return f"{type(problem).__name__}: {problem}".splitlines()[0][:160]


def absent(*packages: str) -> dict[str, Callable[[], Calls]]:
    """Anchors that are not installed, each with a call that says so."""

    def refuse(package: str) -> Calls:
        raise ImportError(f"{package} is not installed")

    return {
        name: lambda name=name: refuse(name)
        for name in packages
        if find_spec(name) is None
    }


def tabulated(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows as JSON holds them, with what follows from them."""
    return [
        asdict(row)
        | {
            "floor": row.floor,
            "of_floor": row.floor / row.ours if row.floor and row.ours else None,
            "times_best_anchor": (
                row.best_anchor / row.ours if row.best_anchor and row.ours else None
            ),
        }
        for row in rows
    ]


def show(name: str, rows: Sequence[Row]) -> None:
    """Print the table."""
    print(f"{name}: microseconds")
    for row in tabulated(rows):
        text = f"{row['case']:20} m={row['m']:<4} {row['n']}x{row['k']}  "
        text += (
            row["error"]
            or f"ours {row['ours']:8.1f}  error {row['relative_error']:.1e}"
        )
        for key in ("of_floor", "times_best_anchor"):
            if row[key]:
                text += f"  {key} {row[key]:.2f}"
        for anchor, value in row["anchors"].items():
            text += f"  {anchor} {value:.1f}" if isinstance(value, float) else ""
        print(text + (f"  {row['tile']}" if row["tile"] else ""))
    missing = {
        f"{anchor}: {value}"
        for row in rows
        for anchor, value in row.anchors.items()
        if isinstance(value, str)
    }
    print("\n".join(sorted(missing)))


def best_tiles(
    operation: str,
    cases: Iterable[tuple[Tensor, int, int, Callable[[Tile], Calls]]],
    candidates: Callable[[Tensor, int, int], list[Tile]],
) -> list[dict[str, Any]]:
    """Time every candidate for each (x, n, k, calls); keep the best in the table.

    Candidates are compiled side by side first; those that don't compile drop out.
    """
    notes = []
    for x, n, k, calls_of in cases:
        tiles = candidates(x, n, k)
        with ThreadPoolExecutor(8) as pool:
            alive = list(pool.map(lambda tile, of=calls_of: _compiles(of(tile)), tiles))
        torch.cuda.synchronize()
        times = {
            tile: attempt(lambda tile=tile, of=calls_of: of(tile))
            for tile, lives in zip(tiles, alive, strict=True)
            if lives
        }
        times = {tile: t for tile, t in times.items() if isinstance(t, float)}
        if not times:
            continue
        best = min(times, key=times.get)
        where = bucket(len(x), n, k)
        MEASURED[operation, torch.cuda.get_device_name(), where] = best
        notes.append(
            {
                "bucket": where,
                "best": asdict(best),
                "times": [asdict(tile) | {"us": t} for tile, t in times.items()],
            }
        )
        print(f"{operation} {where}: {best} {times[best]:.1f}", flush=True)
    keep()
    return notes


def _compiles(calls: Calls) -> bool:
    """Whether a first call works."""
    try:
        calls[0]()
    except Exception:
        return False
    return True
