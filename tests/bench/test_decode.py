"""The benchmark of the graph: what it counts, and how it leaves a part out."""

import torch

from lib.bench.decode import parts, table
from lib.bench.registry import BENCHMARKS
from lib.decode import graph
from lib.kernels.ends import Dense


def test_a_case_without_a_gpu_claims_nothing_and_counts_its_bytes():
    row = table.measure("tiny", "cpu", 3)
    hidden, layers, vocabulary = 256, 2, 1000
    assert row.weight_bytes > 4 * vocabulary * hidden, "the head is read, too"
    token = 2 * layers * (hidden // 2) * 4  # two of four heads, float32
    assert row.cache_bytes == token * (31 + parts.REPLAYS / 2)
    assert row.same_again and row.tokens_per_s is None and row.saved_us == {}


def test_a_part_that_is_left_out_gives_what_it_gave_for_the_same_matrix():
    """So a step without it has the same shapes, and computes only the others."""
    calls = []

    def normed_product(stream, w, eps):
        calls.append(w)
        return len(calls)

    square, wide = (Dense(torch.zeros(n, 4)) for n in (4, 8))
    there = parts._there(normed_product)
    assert [there(None, w, 0.0) for w in (square, wide, square, wide)] == [1, 2, 1, 2]
    assert len(calls) == 2


def test_every_part_is_one_that_the_graph_calls():
    assert all(callable(getattr(graph, name)) for name in parts.PARTS)


def test_prompts_are_ragged_and_those_of_every_run():
    lengths = [len(prompt) for prompt in table.prompts(64)]
    assert table.prompts(64) == table.prompts(64) and len(set(lengths)) > 8
    assert [len(prompt) for prompt in table.prompts(1)] == [32]
    longest = max(lengths) + parts.REPLAYS + len(parts.PARTS) + parts.PROFILED
    assert longest < table.CAPACITY
    assert BENCHMARKS["decode"].module == table.__name__
