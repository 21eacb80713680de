"""The benchmark decodes what the model itself would, in every format that runs here."""

import os

import pytest
import torch

from lib.bench import recall
from lib.bench.record import RESULTS
from lib.bench.tokens import formats, models, table
from lib.bench.tokens.apart import measured_apart
from lib.bench.tokens.decoder import Decoder
from lib.layers import packed
from lib.layers.kernel_matrix import KernelMatrix
from lib.layers.packed import PackedLinear
from lib.models.walk import linear_layers, replace_layer

IDS = torch.arange(table.PROMPT)[None]


def model_of(maker=None):
    model = models.random_model(
        "tiny", dtype=torch.float32, device="cpu", capacity=table.PROMPT + 16
    )
    if maker:
        for name, layer in linear_layers(model).items():
            replace_layer(model, name, maker(layer))
    return model


def test_the_static_cache_decodes_what_generate_does():
    model = model_of()
    decoder = Decoder(model, table.PROMPT + 16)
    expected = model.generate(IDS, do_sample=False, max_new_tokens=8, use_cache=True)
    for _ in range(2):  # the cache starts anew
        tokens = torch.cat(decoder.decode(IDS, 8), 1)
        assert torch.equal(tokens, expected[:, IDS.shape[1] :])


@pytest.mark.parametrize(
    ("maker", "bits"), [(formats.int4, 4 + 16 / 128), (formats.nf4, 4.127)]
)
def test_a_format_holds_its_bits_and_nothing_else(maker, bits):
    dense, model = model_of(), model_of(maker)
    weights = sum(layer.weight.numel() for layer in linear_layers(dense).values())
    held = sum(m.nbytes for m in model.modules() if isinstance(m, PackedLinear))
    assert held * 8 / weights == pytest.approx(bits, rel=2e-3)


@pytest.mark.parametrize("name", ["fp16", "int4", "nf4", "int8"])
def test_a_row_says_how_fast_and_how_large(name):
    row = table.measure("tiny", name, "cpu", 2)
    assert row.error is None and row.eager_tokens_per_s > 0
    assert row.tokens_per_s is None, "no graph on a CPU"
    assert 0 < row.linear_bytes < row.read_bytes < row.all_bytes


@pytest.mark.parametrize("tied", [False, True])
def test_a_token_reads_the_head_but_one_row_of_the_embeddings(tied, monkeypatch):
    monkeypatch.setattr(models, "TIED", ("tiny",) if tied else ())
    row = table.measure("tiny", "fp16", "cpu", 1)
    hidden, *_, vocabulary = models.SHAPES["tiny"]
    head = 4 * hidden * vocabulary
    assert row.read_bytes == row.linear_bytes + head + 4 * hidden
    assert row.all_bytes - row.read_bytes == pytest.approx(0 if tied else head, abs=512)


@pytest.mark.parametrize(
    ("ours", "theirs", "bits"),
    [
        (formats.nf4, formats.bitsandbytes_nf4, 4.127),
        (formats.int8, formats.bitsandbytes_int8, 8 + 32 / 256),
    ],
)
def test_bytes_of_a_library_count_its_constants(ours, theirs, bits):
    pytest.importorskip("bitsandbytes")
    layer = torch.nn.Linear(256, 2048, bias=False).requires_grad_(False)
    one, other = (models.bytes_of(make(layer)) for make in (ours, theirs))
    assert one * 8 / layer.weight.numel() == pytest.approx(bits, rel=1e-3)
    assert other == pytest.approx(one, rel=5e-3), "and 16 and 256 levels"


def test_layers_of_smollm2s_shape_are_padded_by_a_ninth(monkeypatch):
    monkeypatch.setattr(packed, "runs_on", lambda device: True)
    weights = torch.nn.Linear(576, 192, bias=False).requires_grad_(False)
    for make in (formats.int4, formats.nf4):
        layer = make(weights)
        assert isinstance(layer.held, KernelMatrix)
        codes, constants = 192 * 640 / 2, 192 * 640 / 128 * 4  # bytes
        assert layer.nbytes == pytest.approx(codes + constants, rel=2e-3)


def test_a_library_that_is_missing_costs_only_its_row(monkeypatch):
    def missing(layer):
        raise ImportError("no such library")

    monkeypatch.setitem(formats.FORMATS, "int4", formats.Format(missing))
    row = table.measure("tiny", "int4", "cpu", 2)
    assert row.eager_tokens_per_s is None and "no such library" in row.error


def test_a_process_that_fails_costs_only_its_row():
    row = table.measure_in_process("tiny", "fp16", "cpu", 2)
    assert row.error is None and row.eager_tokens_per_s > 0
    row = table.measure_in_process("tiny", "no such format", "cpu", 2)
    assert "no such format" in row.error


def test_a_run_replaces_the_rows_of_its_own_shapes():
    rows = table.earlier_rows("tokens", ["smollm2"], RESULTS)
    assert {row["shape"] for row in rows} == {"llama-7b"}
    assert table.earlier_rows("never_measured", [], RESULTS) == []


def test_what_is_kept_is_of_formats_and_shapes_that_the_code_knows():
    rows = recall("tokens").results["rows"]
    assert rows and {row["format"] for row in rows} <= formats.FORMATS.keys()
    assert {row["shape"] for row in rows} <= models.SHAPES.keys()


def test_a_format_that_nobody_measured_is_a_dash(monkeypatch):
    monkeypatch.setitem(formats.FORMATS, "int3", formats.Format(formats.int4))
    rows = table.by_format(recall("tokens").results["rows"], "llama-7b")
    assert list(rows) == list(formats.FORMATS) and rows["int3"] is None
    assert rows["fp16"]["tokens_per_s"] > 0
    assert table.line(table.Row("tiny", "int3")).split()[2] == "–"


def refused(*case):
    raise ValueError(f"no {case}")


def died(*case):
    os._exit(3)


def test_what_fails_or_dies_costs_its_own_row_only():
    rows = [
        measured_apart(how, table.Row("tiny", "int4"), 7) for how in (refused, died)
    ]
    assert rows[0].error == "ValueError: no (7,)"
    assert rows[1].error.startswith("BrokenProcessPool: ")
    assert all(row.tokens_per_s is None for row in rows)
