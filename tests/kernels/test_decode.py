"""The benchmark decodes what the model itself would, in every format that runs here."""

import pytest
import torch

from lib.bench import decode
from lib.models.walk import linear_layers, replace_layer
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


@pytest.mark.parametrize("name", ["fp16", "int4", "nf4"])
def test_a_row_says_how_fast_and_how_large(name):
    row = decode.measure("tiny", name, "cpu", 2)
    assert row.error is None and row.tokens_per_s > 0 and not row.graph
    assert 0 < row.linear_bytes < row.all_bytes


def test_a_library_that_is_missing_costs_only_its_row(monkeypatch):
    def missing(layer):
        raise ImportError("no such library")

    monkeypatch.setitem(decode.FORMATS, "int4", missing)
    row = decode.measure("tiny", "int4", "cpu", 2)
    assert row.tokens_per_s is None and "no such library" in row.error
