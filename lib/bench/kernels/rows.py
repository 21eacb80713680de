"""A row of a kernel's table: our time, the baselines' times, the floor, the error.

Read in order: `Row`, `measured`, `in_company`, `attempt`, `line`; and for --tune
`Case`, `tuning_cases`, `best_tiles`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from lib.bench.timing import bandwidth, microseconds, microseconds_in_company
from lib.kernels.core.compiler import chained
from lib.kernels.core.tiles import MEASURED, Tile, bucket, save

Calls = Sequence[Callable[[], object]]
FLOPS = 790e6  # of fp16 a microsecond, what an H100's matrix unit keeps up


@dataclass
class Row:
    """One case. Times are microseconds; `baselines` maps names to times or reasons."""

    case: str
    m: int
    n: int
    k: int
    nbytes: int  # that must move
    ours: float | None = None
    baselines: dict[str, float | str] = field(default_factory=dict)
    relative_error: float | None = None  # ‖y - exact‖ / ‖exact‖, exact in float64
    error: str | None = None
    tile: str = ""
    flops: int = 0  # where products, not bytes, may be what takes the time
    company: dict[str, float | str] = field(default_factory=dict)  # `in_company`

    @property
    def floor(self) -> float | None:
        """The least time that the bytes take, and the products."""
        speed = bandwidth()
        return max(self.nbytes / speed, self.flops / FLOPS) if speed else None

    @property
    def best_baseline(self) -> float | None:
        """The fastest baseline's time."""
        times = [t for t in self.baselines.values() if isinstance(t, float)]
        return min(times, default=None)


def relative_error(y: Tensor, exact: Tensor) -> float:
    """‖y - exact‖ / ‖exact‖; infinite where y is not finite."""
    error = (y.double() - exact).norm() / exact.norm()
    return error.item() if error.isfinite() else float("inf")


def measured(
    row: Row, calls: Calls, exact: Tensor, tolerance: float, baselines: dict[str, Any]
) -> Row:
    """Fill in the row: is it right, how long does it take, how long the baselines.

    `baselines` maps a name to a function that makes its calls, or times them itself;
    whatever fails is noted.
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
    for name, make in baselines.items():
        row.baselines[name] = attempt(make)
    return row


def in_company(row: Row, calls: Calls, baselines: dict[str, Any]) -> Row:
    """Fill in `company`: ours and the baselines beside ordinary kernels and alone.

    "NAME" is launched plainly between two ordinary small kernels, whose time is taken
    off; "NAME alone" back to back. Ours again "chained": there the small kernels are
    no part of the chain, alone they are its own kind.
    """
    ways = {"": microseconds_in_company, " alone": microseconds}
    for how, clock in ways.items():
        row.company[f"ours{how}"] = clock(calls)
        with chained():
            row.company[f"ours chained{how}"] = clock(calls)
    for name, make in baselines.items():
        for how, clock in ways.items():
            row.company[f"{name}{how}"] = attempt(make, clock)
    return row


def attempt(
    make: Callable[[], Calls | float], clock: Callable[[Calls], float] | None = None
) -> float | str:
    """The baseline's time by `clock`, or back to back; or why there is none."""
    try:
        made = make()
        return made if isinstance(made, float) else (clock or microseconds)(made)
    except Exception as problem:
        return attempt_text(problem)


def attempt_text(problem: Exception) -> str:
    """A failure in one line."""
    return f"{type(problem).__name__}: {problem}".splitlines()[0][:160]


def tabulated(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows as JSON holds them, with what follows from them."""
    return [
        asdict(row)
        | {
            "floor": row.floor,
            "of_floor": row.floor / row.ours if row.floor and row.ours else None,
            "times_best_baseline": (
                row.best_baseline / row.ours if row.best_baseline and row.ours else None
            ),
        }
        for row in rows
    ]


def line(row: Row) -> str:
    """The row in words."""
    facts = tabulated([row])[0]
    text = f"{row.case:18} m={row.m:<4} {row.n}x{row.k}"
    if row.ours:
        text += f"  ours {row.ours:8.1f}  error {row.relative_error:.1e}"
    if row.error:
        text += f"  {row.error}"
    if row.floor:
        text += f"  floor {row.floor:.1f}"
    for key in ("of_floor", "times_best_baseline"):
        if facts[key]:
            text += f"  {key} {facts[key]:.2f}"
    for baseline, time in (row.baselines | row.company).items():
        text += f"  {baseline} {time:.1f}" if isinstance(time, float) else ""
    return text


def missing(rows: Sequence[Row]) -> str:
    """The baselines that could not be timed, and why, a line each."""
    reasons = {
        f"{baseline}: {why}"
        for row in rows
        for baseline, why in (row.baselines | row.company).items()
        if isinstance(why, str)
    }
    return "\n".join(sorted(reasons))


@dataclass(frozen=True)
class Case:
    """What tiles are tried on: activations, n rows of weights, and the right result."""

    x: Tensor
    n: int
    exact: Tensor
    tolerance: float
    calls: Callable[[Tile], Calls]  # in that tile, a call for each copy of the weights
    tiles: Sequence[Tile]


def tuning_cases(
    sizes: Iterable[tuple[int, int]],
    tokens: Sequence[int],
    weights_of: Callable[[int, int], Sequence[Any]],
    reference: Callable[..., Tensor],
    launch: Callable[[Tensor, Any, Tile], Tensor],
    candidates: Callable[[int, int], Sequence[Tile]],
    tolerance: float,
    device: str = "cuda",
) -> Iterator[Case]:
    """Every size (n, k) and number of tokens in fp16, with the tiles worth trying."""
    for n, k in sizes:
        weights = weights_of(n, k)
        for m in tokens:
            x = torch.randn(m, k, device=device).half()
            exact = reference(x.double(), weights[0], dtype=torch.float64)

            def calls(tile: Tile, x: Tensor = x, weights: Any = weights) -> Calls:
                return [lambda w=w: launch(x, w, tile) for w in weights]

            yield Case(x, n, exact, tolerance, calls, candidates(m, k))


def best_tiles(operation: str, cases: Iterable[Case]) -> list[dict[str, Any]]:
    """Time every tile of every case; keep the best right one in the table.

    A case's tiles are compiled side by side first; what fails or is wrong is out.
    """
    notes = []
    for case in cases:
        with ThreadPoolExecutor(8, initializer=_enter_device) as pool:
            faults = list(pool.map(lambda tile, of=case: _fault(of, tile), case.tiles))
        torch.cuda.synchronize()
        times: dict[Tile, float] = {}
        for tile, fault in zip(case.tiles, faults, strict=True):
            time = fault or attempt(lambda of=case, tile=tile: of.calls(tile))
            if isinstance(time, float):
                times[tile] = time
            else:
                print(f"{operation}: {tile}: {time}")
        where = bucket(len(case.x), case.n, case.x.shape[1])
        notes.append({"bucket": where, "us": {str(t): us for t, us in times.items()}})
        if times:
            best = min(times, key=times.get)
            MEASURED[operation, torch.cuda.get_device_name(), where] = best
            save()
            print(f"{operation} {where}: {best} {times[best]:.1f}", flush=True)
    return notes


def _enter_device() -> None:
    """Make the GPU's context current in this thread."""
    torch.zeros(1, device="cuda")


def _fault(case: Case, tile: Tile) -> str | None:
    """What is wrong with a tile, compiled and run once: nothing, it may be."""
    try:
        error = relative_error(case.calls(tile)[0](), case.exact)
    except Exception as problem:
        return attempt_text(problem)
    return None if error <= case.tolerance else f"relative error {error:.1e}"
