"""What lecture 14 reads: rows of a quantized cache, and of passes, on a small model."""

import argparse
import math

import pytest
import torch

from lib.bench import recall
from lib.bench.record import Run
from lib.bench.serving import kv_cache, steps
from lib.decode.cache import Shape
from lib.decode.kivi import KIVI
from lib.decode.llama import Llama
from lib.models.evaluate import perplexity
from tests.conftest import llama_of

MODEL = llama_of(initializer_range=0.2)
WINDOWS = torch.randint(40, (2, 48), generator=torch.Generator().manual_seed(0))


def test_a_row_of_full_precision_is_the_models_own_perplexity():
    row = kv_cache.row(MODEL, WINDOWS, None)
    assert row["perplexity"] == pytest.approx(perplexity(MODEL, WINDOWS), rel=1e-5)
    assert row["bits_per_number"] == 32 and row["bits"] is None
    assert math.exp(sum(row["window_nats"]) / 2) == pytest.approx(row["perplexity"])


def test_a_row_of_few_bits_differs_and_counts_them():
    row = kv_cache.row(MODEL, WINDOWS, KIVI(2))
    assert row["perplexity"] != kv_cache.row(MODEL, WINDOWS, None)["perplexity"]
    channels = Shape.of(MODEL).channels
    assert row["bits_per_number"] >= (2 + 18 / 16 + 2 + 18 / channels) / 2
    assert (row["keys"], row["values"]) == ("channel", "token")


def test_the_passes_of_a_table_are_timed_and_leave_no_trace(monkeypatch):
    for name, small in {
        "KNOWN": 4,
        "TEXTS": (0, 2),
        "PIECES": (0, 3),
        "TOGETHER": (1, 2),
        "PROMPTS": (5,),
    }.items():
        monkeypatch.setattr(steps, name, small)
    monkeypatch.setattr(steps, "tokens", lambda count: tuple(range(count)))
    llama, shape = Llama(MODEL), Shape.of(MODEL)
    cache = steps.texts(llama, shape, 2)
    steps.seconds(llama, [steps.Span(0, (7,)), steps.Span(9, (1, 2))], cache)
    assert {s: cache.length(s) for s in (0, 1, 9)} == {0: 4, 1: 4, 9: 0}
    rows = steps.passes(llama, shape, 1)
    assert [(r["read"], r["texts"]) for r in rows] == [(3, 0), (0, 2), (3, 2)]
    (one, two), (prompt,) = (
        steps.together(llama, shape, 1),
        steps.prompts(llama, shape, 1),
    )
    assert (one["tokens"], two["tokens"], prompt["prompt"]) == (1, 2, 5)
    times = (*rows, one, two, prompt)
    assert all(v >= 0 for row in times for v in row.values())


def test_the_table_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(kv_cache, "load_model", lambda: (MODEL, None))
    monkeypatch.setattr(kv_cache.EvaluationProtocol, "windows", lambda *_: WINDOWS)
    monkeypatch.setattr(kv_cache, "BITS", (2,))
    options = argparse.Namespace(text=["hamlet"], tokens=512)
    kv_cache.main(Run("kv_cache", "", "", tmp_path), "kv_cache", options)
    rows = recall("kv_cache", folder=tmp_path).results["rows"]
    assert [row["bits"] for row in rows] == [None, 2, 2, 2]
    assert all(row["text"] == "hamlet" for row in rows)
