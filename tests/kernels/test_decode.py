"""The benchmark decodes what the model itself would, in every format that runs here."""

import pytest
import torch

import lib.kernels
from lib.bench import decode
from lib.models.walk import linear_layers, replace_layer
from lib.quant import packed_linear
from lib.quant.packed_linear import PackedLinear

IDS = torch.arange(decode.PROMPT)[None]


def model_of(maker=None):
    model = decode.random_model(
        "tiny", dtype=torch.float32, device="cpu", capacity=decode.PROMPT + 16
    )
    if maker:
        for name, layer in linear_layers(model).items():
            replace_layer(model, name, maker(layer))
    return model


def test_the_static_cache_decodes_what_generate_does():
    model = model_of()
    decoder = decode.Decoder(model, decode.PROMPT + 16)
    expected = model.generate(IDS, do_sample=False, max_new_tokens=8, use_cache=True)
    for _ in range(2):  # the cache starts anew
        tokens = torch.cat(decoder.decode(IDS, 8), 1)
        assert torch.equal(tokens, expected[:, IDS.shape[1] :])


@pytest.mark.parametrize(
    ("maker", "bits"), [(decode.int4, 4 + 16 / 128), (decode.nf4, 4.127)]
)
def test_a_format_holds_its_bits_and_nothing_else(maker, bits):
    dense, model = model_of(), model_of(maker)
    weights = sum(layer.weight.numel() for layer in linear_layers(dense).values())
    held = sum(m.nbytes for m in model.modules() if isinstance(m, PackedLinear))
    assert held * 8 / weights == pytest.approx(bits, rel=2e-3)


@pytest.mark.parametrize("name", ["fp16", "int4", "nf4", "int8"])
def test_a_row_says_how_fast_and_how_large(name):
    row = decode.measure("tiny", name, "cpu", 2)
    assert row.error is None and row.eager_tokens_per_s > 0
    assert row.tokens_per_s is None, "no graph on a CPU"
    assert 0 < row.linear_bytes < row.read_bytes < row.all_bytes


@pytest.mark.parametrize("tied", [False, True])
def test_a_token_reads_the_head_but_one_row_of_the_embeddings(tied, monkeypatch):
    monkeypatch.setattr(decode, "TIED", ("tiny",) if tied else ())
    row = decode.measure("tiny", "fp16", "cpu", 1)
    hidden, *_, vocabulary = decode.SHAPES["tiny"]
    head = 4 * hidden * vocabulary
    assert row.read_bytes == row.linear_bytes + head + 4 * hidden
    assert row.all_bytes - row.read_bytes == pytest.approx(0 if tied else head, abs=512)


@pytest.mark.parametrize(
    ("ours", "theirs", "bits"),
    [
        (decode.nf4, decode.bitsandbytes_nf4, 4.127),
        (decode.int8, decode.bitsandbytes_int8, 8 + 32 / 256),
    ],
)
def test_bytes_of_a_library_count_its_constants(ours, theirs, bits):
    pytest.importorskip("bitsandbytes")
    layer = torch.nn.Linear(256, 2048, bias=False).requires_grad_(False)
    one, other = (decode.held(make(layer)) for make in (ours, theirs))
    assert one * 8 / layer.weight.numel() == pytest.approx(bits, rel=1e-3)
    assert other == pytest.approx(one, rel=5e-3), "and 16 and 256 levels"


def test_layers_of_smollm2s_shape_are_padded_by_a_ninth(monkeypatch):
    monkeypatch.setattr(packed_linear, "kernels_on", lambda device: lib.kernels)
    weights = torch.nn.Linear(576, 192, bias=False).requires_grad_(False)
    for make in (decode.int4, decode.nf4):
        layer = make(weights)
        assert layer.fast is not None
        codes, constants = 192 * 640 / 2, 192 * 640 / 128 * 4  # bytes
        assert layer.nbytes == pytest.approx(codes + constants, rel=2e-3)


def test_a_library_that_is_missing_costs_only_its_row(monkeypatch):
    def missing(layer):
        raise ImportError("no such library")

    monkeypatch.setitem(decode.FORMATS, "int4", decode.Format(missing))
    row = decode.measure("tiny", "int4", "cpu", 2)
    assert row.eager_tokens_per_s is None and "no such library" in row.error


def test_a_process_that_fails_costs_only_its_row():
    row = decode.apart("tiny", "fp16", "cpu", 2)
    assert row.error is None and row.eager_tokens_per_s > 0
    row = decode.apart("tiny", "no such format", "cpu", 2)
    assert "no such format" in row.error


def test_a_run_replaces_the_rows_of_its_own_shapes():
    rows = decode.earlier("decode", ["smollm2"])
    assert {row["shape"] for row in rows} == {"llama-7b"}
    assert {row["format"] for row in rows} == set(decode.FORMATS)
    assert decode.earlier("never_measured", []) == []
