"""Microseconds of an operation whose weights come from memory, not from a cache.

    time = median over replays of (one CUDA graph of many calls) / calls

Copies of the weights, together larger than twice the L2 cache, are used in turn, so
that each call finds its own gone; a graph takes Python and the launches out of the
time, and enough calls in it the start of the graph. On a CPU the calls are timed by the
clock, a few times: no claims.

Back to back a kernel's neighbours are its own kind. In a model they mostly are not: so
`microseconds_in_company` puts an ordinary small kernel between two calls, and takes its
time off.

Read in order: `copies_past_cache`, `microseconds`, `microseconds_in_company`,
`microseconds_of_a_loop`, `bandwidth`.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch

REPLAYS = 25
GRAPH_MICROSECONDS = 1000  # at least, for some 5 of them are a graph's start
CPU_RUNS = 3
SMALL = 4096  # numbers of the kernel in between, which takes about 1.1 µs


def copies_past_cache(nbytes: int) -> int:
    """How many copies of `nbytes` exceed twice the cache of the GPU, at least two."""
    if not torch.cuda.is_available():
        return 1
    cache_bytes = torch.cuda.get_device_properties(0).L2_cache_size
    return max(2, -(-2 * cache_bytes // max(nbytes, 1)) + 1)


def microseconds(calls: Sequence[Callable[[], object]]) -> float:
    """Median time of a call, the calls made in turn."""
    if not torch.cuda.is_available():
        return statistics.median(_by_clock(calls[0]) for _ in range(CPU_RUNS))
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # compile and allocate before the capture
        for call in calls[:2]:
            call()
    torch.cuda.synchronize()
    once = _of_graph(calls, replays=3)
    rounds = min(32, max(1, round(GRAPH_MICROSECONDS / (once * len(calls)))))
    return _of_graph(list(calls) * rounds, REPLAYS)


def microseconds_in_company(calls: Sequence[Callable[[], object]]) -> float:
    """Median time of a call between two kernels of 4,096 additions, without theirs.

    Ordinary kernels, which know nothing of programmatic launches. On a CPU as
    `microseconds`.
    """
    if not torch.cuda.is_available():
        return microseconds(calls)
    few = torch.zeros(SMALL, device="cuda")
    between = partial(few.add_, 1)
    pairs = [lambda call=call: (call(), between()) for call in calls]
    return microseconds(pairs) - microseconds([between] * 32)


def _of_graph(calls: Sequence[Callable[[], object]], replays: int) -> float:
    """Median time of a call among all in one graph; their results have their places."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = [call() for call in calls]
    times = [_by_events(graph.replay) / len(calls) for _ in range(replays + 3)][3:]
    del kept
    return statistics.median(times)


def microseconds_of_a_loop(
    calls: Sequence[Callable[[], object]], replays: int = REPLAYS
) -> float:
    """Median time of a call that no graph can hold, with launches and waits."""
    if not torch.cuda.is_available():
        return microseconds(calls)

    def loop() -> None:
        for call in calls:
            call()

    times = [_by_events(loop) / len(calls) for _ in range(replays + 3)][3:]
    return statistics.median(times)


def _by_clock(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e6


def _by_events(call: Callable[[], object]) -> float:
    """Microseconds between two events around `call`."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) * 1e3


@cache
def bandwidth() -> float | None:
    """Bytes a microsecond at best: of a large sum, or a copy both ways; None on a CPU.

    The copy is a kernel: cuBLAS reads its weights faster than a graph copies memory.
    """
    if not torch.cuda.is_available():
        return None
    source = torch.empty(2**28, dtype=torch.int32, device="cuda")
    target = torch.empty_like(source)
    copy = microseconds([lambda: torch.add(source, 1, out=target)])
    total = microseconds([lambda: source.view(torch.float32).sum()])
    return max(2 * source.nbytes / copy, source.nbytes / total)
