"""A whole model: in one pass, packed, saved, resumed; and it says what went wrong."""

import copy

import pytest
import torch

from lib.models.packed_file import load_quantized, save_quantized
from lib.models.quantize import quantize_model
from lib.models.rescale import AWQ
from lib.models.walk import linear_layers
from lib.quant.aware.ternary import BitNet158
from lib.quant.codebooks.normal_float import NormalFloat
from lib.quant.hessian import Hessian
from lib.quant.lattices.coded import quip_sharp
from lib.quant.rotations.incoherence import Incoherence
from lib.quant.serialize import deserialize
from lib.quant.solvers.gptq import GPTQ, gptq
from lib.quant.solvers.spqr import SpQR
from lib.quant.uniform.grouped import RoundToNearest
from tests.models.every_form import dense_form

TOKENS = torch.randint(40, (4, 16), generator=torch.Generator().manual_seed(0))
METHODS = [
    RoundToNearest(3, 8),
    NormalFloat(),
    NormalFloat(double=True),
    BitNet158(),
    AWQ(3, 8),
    GPTQ(3, 8),
    GPTQ(3, 8, act_order=True, symmetric=True),
    SpQR(3, 8, constant_rows=8),
    SpQR(2, 8, constant_rows=8, act_order=True),
    quip_sharp(2),
    Incoherence(GPTQ(3, 8, act_order=True), seed=1),
]
DOWN = "model.layers.1.mlp.down_proj"


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_bytes_files_and_dense_copies_agree(method, tiny_llama, tmp_path):
    dense_form(tiny_llama, method, TOKENS, tmp_path)


def test_later_layers_are_fitted_to_the_quantized_earlier_ones(tiny_llama):
    whole, by_hand = copy.deepcopy(tiny_llama), copy.deepcopy(tiny_llama)
    quantize_model(whole, GPTQ(3, 8), TOKENS)
    names = list(linear_layers(tiny_llama))
    for name in names:  # the slow way: all inputs anew for every layer
        seen = []
        layer = linear_layers(by_hand)[name]
        handle = layer.register_forward_pre_hook(lambda _, a, s=seen: s.append(a[0]))
        by_hand(TOKENS)
        handle.remove()
        h = Hessian(layer.in_features)
        h.add(seen[0])
        layer.weight.data = gptq(layer.weight, h.matrix, GPTQ(3, 8)).dequantize()
    for name in names:
        ours = whole.get_submodule(name).weight_matrix()
        assert torch.equal(ours, by_hand.get_submodule(name).weight), name


def test_one_pass_over_the_plain_model_is_something_else(tiny_llama):
    other = copy.deepcopy(tiny_llama)
    quantize_model(tiny_llama, GPTQ(2, 8), TOKENS)
    quantize_model(other, GPTQ(2, 8), TOKENS, sequential=False)
    first = "model.layers.0.self_attn.q_proj"
    a, b = (
        [m.get_submodule(n).weight_matrix() for n in (first, DOWN)]
        for m in (tiny_llama, other)
    )
    assert torch.equal(a[0], b[0]), "the first layer has the same inputs in both"
    assert not torch.equal(a[1], b[1])


def test_windows_make_errors_known_and_gptqs_are_smaller(tiny_llama):
    other = copy.deepcopy(tiny_llama)
    rtn = quantize_model(tiny_llama, RoundToNearest(3, 8), TOKENS, sequential=False)
    ours = quantize_model(other, GPTQ(3, 8), TOKENS, sequential=False)
    assert len(rtn.layers) == 2 * 7
    for name, layer in rtn.layers.items():
        assert ours.layers[name].error < layer.error, name


def test_an_interrupted_run_goes_on_where_it_was(tiny_llama, tmp_path, monkeypatch):
    plain, again = copy.deepcopy(tiny_llama), copy.deepcopy(tiny_llama)
    quantize_model(plain, GPTQ(3, 8), TOKENS)

    calls = []
    honest = GPTQ.quantize

    def stops(self, w, inputs):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return honest(self, w, inputs)

    monkeypatch.setattr(GPTQ, "quantize", stops)
    with pytest.raises(KeyboardInterrupt):
        quantize_model(tiny_llama, GPTQ(3, 8), TOKENS, folder=tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 5
    quantize_model(again, GPTQ(3, 8), TOKENS, folder=tmp_path)
    assert len(calls) == 6 + 9, "five of fourteen layers were there already"
    assert torch.equal(again(TOKENS).logits, plain(TOKENS).logits)


def test_a_folder_of_other_settings_is_refused(tiny_llama, tmp_path):
    quantize_model(copy.deepcopy(tiny_llama), GPTQ(3, 8), TOKENS, folder=tmp_path)
    with pytest.raises(ValueError, match=r"was made by GPTQ\(bits=3.*choose another"):
        quantize_model(tiny_llama, GPTQ(4, 8), TOKENS, folder=tmp_path)


def test_data_free_methods_need_no_text(tiny_llama):
    report = quantize_model(tiny_llama, RoundToNearest(4, 8))
    assert all(layer.error is None for layer in report.layers.values())
    assert report.bits_per_weight == 4 + 20 / 8


@pytest.mark.parametrize("method", [GPTQ(3, 8), SpQR(3, 8, constant_rows=8), AWQ(3, 8)])
def test_the_others_say_that_they_need_it(method, tiny_llama):
    with pytest.raises(ValueError, match="needs calibration windows"):
        quantize_model(tiny_llama, method)


def test_troubles_name_the_layer(tiny_llama):
    broken = copy.deepcopy(tiny_llama)
    broken.model.layers[1].mlp.up_proj.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"layers\.1\.mlp\.up_proj: w holds 1 NaN"):
        quantize_model(broken, GPTQ(3, 8), TOKENS)
    with pytest.raises(ValueError, match=r"q_proj: group=64 does not divide the 16"):
        quantize_model(copy.deepcopy(tiny_llama), GPTQ(3, 64), TOKENS)
    tiny_llama.model.embed_tokens.weight[TOKENS[0, 3]] = torch.inf
    with pytest.raises(ValueError, match=r"q_proj: \d+ of 64 calibration tokens hold"):
        quantize_model(tiny_llama, GPTQ(3, 8), TOKENS)


def test_files_that_are_none_are_refused(tiny_llama, tmp_path):
    with pytest.raises(ValueError, match="no PackedLinear"):
        save_quantized(tiny_llama, tmp_path / "x")
    (tmp_path / "x").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="x is no saved quantized model"):
        load_quantized(tiny_llama, tmp_path / "x")
    with pytest.raises(ValueError, match="kind='senary'"):
        deserialize({}, {"kind": "senary"})
