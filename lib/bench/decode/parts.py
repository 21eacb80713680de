"""Where a step's time goes: kernel by kernel as the profiler sees it, and what it saves
to leave a part out.

Chained kernels overlap: each begins while the one before still runs, and waits. So the
profiler's durations add up to more than the step, and say how long a kernel was there.
What a part costs in company is the time of the step less that of a step in which its
result is simply there.

Read in order: `microseconds_of_step`, `by_kernel`, `left_out`.
"""

import statistics
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, profile

from lib.decode import graph
from lib.decode.graph import Writer
from lib.kernels.ends.matrices import cols_of, rows_of

REPLAYS = 48  # steps between two events
REPEATS = 5
PROFILED = 8  # steps
PARTS = ("normed_product", "attended", "added_product", "gated_product", "best_product")


def recorded(writer: Writer) -> torch.cuda.CUDAGraph:
    """The step as a graph, whatever the module `graph` now calls."""
    writer.step()
    torch.cuda.synchronize()
    recording = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recording):
        writer.step()
    return recording


def microseconds_of_step(writer: Writer, recording: torch.cuda.CUDAGraph) -> float:
    """Median over repeats of `REPLAYS` steps, each repeat from the same lengths."""
    lengths, times = writer.lengths.clone(), []
    for _ in range(REPEATS + 1):
        writer.lengths.copy_(lengths)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(REPLAYS):
            recording.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e3 / REPLAYS)
    writer.lengths.copy_(lengths)
    return statistics.median(times[1:])


def by_kernel(writer: Writer, recording: torch.cuda.CUDAGraph) -> list[dict[str, Any]]:
    """The profiler's kernels of a step: how often each runs, how long it is there."""
    lengths = writer.lengths.clone()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(PROFILED):
            recording.replay()
        torch.cuda.synchronize()
    writer.lengths.copy_(lengths)
    rows = [
        {
            "kernel": event.key[:60],
            "launches": event.count / PROFILED,
            "us_each": event.device_time_total / event.count,
        }
        for event in seen.key_averages()
        if event.device_time_total
    ]
    return sorted(rows, key=lambda row: -row["launches"] * row["us_each"])


def left_out(writer: Writer, whole: float) -> dict[str, float]:
    """Microseconds that a step without each part saves, of `whole`."""
    saved = {}
    for name in PARTS:
        with mock.patch.object(graph, name, _there(getattr(graph, name))):
            saved[name] = whole - microseconds_of_step(writer, recorded(writer))
    return saved


def _there(part: Callable[..., Any]) -> Callable[..., Any]:
    """`part`, computed once for each of its matrices and then remembered."""
    known: dict[Any, Any] = {}

    def call(first: Any, second: Any, *rest: Any) -> Any:
        has_matrix = part.__name__.endswith("product")
        key = (rows_of(second), cols_of(second)) if has_matrix else None
        if key not in known:
            known[key] = part(first, second, *rest)
        return known[key]

    return call
