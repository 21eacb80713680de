"""Pruned and compressed matrices beside torch's `sort`, `topk` and semi-structured.

Baselines make the mask as Wanda's authors do: all scores of a row sorted and the worst
scattered into a mask, or `topk` of the worst in each run (here all runs in one call).
torch's compression finds no mask: it takes a matrix that is 2:4 already.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from lib.bench.kernels.rows import Calls, Row, measured
from lib.bench.timing import copies_past_cache
from lib.kernels.two_of_four import (
    compress_two_of_four,
    decompress_two_of_four,
)
from lib.kernels.two_of_four.storage import compress_reference
from lib.kernels.wanda import prune_n_of_m, prune_per_row
from lib.prune.masks import kept_n_of_m, kept_per_row
from lib.prune.wanda import wanda_score

TOKENS = (1,)  # there are none
RUNS = ((2, 4), (4, 8), (8, 16))


def by_sort(w: Tensor, norm: Tensor, sparsity: float) -> Tensor:
    """Sort every row, scatter the worst, mask."""
    score = w.abs() * norm
    worst = score.sort(dim=-1, stable=True).indices[:, : int(w.shape[1] * sparsity)]
    drop = torch.zeros_like(score, dtype=torch.bool).scatter_(1, worst, True)
    return w.masked_fill(drop, 0)


def by_topk(w: Tensor, norm: Tensor, n: int, m: int) -> Tensor:
    """The worst m - n of every run, scattered into a mask."""
    score = (w.abs() * norm).view(-1, m)
    worst = score.topk(m - n, dim=1, largest=False).indices
    drop = torch.zeros_like(score, dtype=torch.bool).scatter_(1, worst, True)
    return w.masked_fill(drop.view_as(w), 0)


def semi_structured(weights: list[Tensor]) -> Calls:
    """torch's own compression; raises NotImplementedError on a CPU."""
    if not weights[0].is_cuda:
        raise NotImplementedError("torch compresses on a GPU only")
    pruned = [prune_n_of_m(w) for w in weights]
    return [lambda w=w: torch.sparse.to_sparse_semi_structured(w) for w in pruned]


def on_each(weights: list[Any], call: Callable[[Any], object]) -> Calls:
    """The call on every copy, in turn."""
    return [lambda w=w: call(w) for w in weights]


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every size, in fp16: half of each row, N of M, 2:4 compressed and back."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for rows, cols in sizes:
        count = copies_past_cache(2 * rows * cols)
        weights = [torch.randn(rows, cols, device=device).half() for _ in range(count)]
        norm = torch.rand(cols, device=device)
        yield by_row(weights, norm)
        for n, m in RUNS:
            yield by_run(weights, norm, n, m)
        yield mask_only(weights, norm)
        yield from compression(weights, norm)


def by_row(weights: list[Tensor], norm: Tensor) -> Row:
    """Half of each row."""
    w = weights[0]
    row = Row("row 50 %", 0, *w.shape, 2 * w.nbytes + norm.nbytes)
    exact = w.masked_fill(~kept_per_row(wanda_score(w, norm), 0.5), 0).double()
    calls = on_each(weights, lambda w: prune_per_row(w, norm, sparsity=0.5))
    baselines = {"sort": lambda: on_each(weights, lambda w: by_sort(w, norm, 0.5))}
    return measured(row, calls, exact, 0.0, baselines)


def by_run(weights: list[Tensor], norm: Tensor, n: int, m: int) -> Row:
    """The n best of every m neighbours."""
    w = weights[0]
    row = Row(f"{n}:{m}", 0, *w.shape, 2 * w.nbytes + norm.nbytes)
    exact = w.masked_fill(~kept_n_of_m(wanda_score(w, norm), n, m), 0).double()
    calls = on_each(weights, lambda w: prune_n_of_m(w, norm, n=n, m=m))
    baselines = {"topk": lambda: on_each(weights, lambda w: by_topk(w, norm, n, m))}
    return measured(row, calls, exact, 0.0, baselines)


def mask_only(weights: list[Tensor], norm: Tensor) -> Row:
    """2:4 as a byte a weight."""
    w = weights[0]
    row = Row("2:4 mask", 0, *w.shape, w.nbytes + w.numel() + norm.nbytes)
    exact = kept_n_of_m(wanda_score(w, norm), 2, 4).double()
    calls = on_each(weights, lambda w: prune_n_of_m(w, norm, mask=True))
    return measured(row, calls, exact, 0.0, {})


def compression(weights: list[Tensor], norm: Tensor) -> Iterator[Row]:
    """2:4 from the scores in one pass; and back, beside a copy of the whole."""
    rows, cols = weights[0].shape
    kept = [compress_two_of_four(w, norm) for w in weights]
    nbytes = weights[0].nbytes + kept[0].nbytes
    row = Row("2:4 compress", 0, rows, cols, nbytes + norm.nbytes)
    exact = compress_reference(weights[0], norm)[0].double()
    calls = on_each(weights, lambda w: compress_two_of_four(w, norm).values)
    baselines = {"semi_structured": lambda: semi_structured(weights)}
    yield measured(row, calls, exact, 0.0, baselines)
    row = Row("2:4 decompress", 0, rows, cols, nbytes)
    pruned = prune_n_of_m(weights[0], norm)
    calls = on_each(kept, decompress_two_of_four)
    baselines = {"dense copy": lambda: on_each(weights, torch.clone)}
    yield measured(row, calls, pruned.double(), 0.0, baselines)
