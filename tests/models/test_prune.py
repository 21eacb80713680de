"""The walk that quantizes prunes too: small files, equal logits, resumed, restored."""

import copy

import pytest
import torch

from lib.models.quantize import quantize_model
from lib.models.rescale import AWQ
from lib.models.walk import linear_layers
from lib.prune.magnitude import Magnitude, global_magnitude, kept_globally
from lib.prune.sparsegpt import SparseGPT
from lib.prune.wanda import Wanda
from lib.quant.method import PerLayer
from lib.quant.solvers.gptq import GPTQ
from lib.quant.uniform.grouped import RoundToNearest
from tests.models.every_form import dense_form

TOKENS = torch.randint(40, (4, 16), generator=torch.Generator().manual_seed(0))
METHODS = [
    Magnitude(0.5),
    Magnitude((4, 8), dtype="float32"),
    Wanda(0.7),
    Wanda((2, 4), refit=True),
    SparseGPT(0.5, mask_block=8),
    SparseGPT((2, 4), dtype="bfloat16"),
    SparseGPT(0.5, bits=4, group=8),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_bytes_files_and_dense_copies_agree(method, tiny_llama, tmp_path):
    back = dense_form(tiny_llama, method, TOKENS, tmp_path)
    gone = [(w.weight == 0).float().mean() for w in linear_layers(back).values()]
    assert all(share >= 0.49 for share in gone)


def test_all_layers_are_compared_by_global_magnitude(tiny_llama):
    layers = linear_layers(tiny_llama)
    layers["model.layers.0.mlp.up_proj"].weight.data *= 0.1
    weights = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    masks = kept_globally({name: w.abs() for name, w in weights.items()}, 0.5)
    quantize_model(tiny_llama, global_magnitude(weights, 0.5, dtype="float32"))
    for name, w in weights.items():
        ours = tiny_llama.get_submodule(name).weight_matrix()
        assert torch.equal(ours, w * masks[name])
    assert masks["model.layers.0.mlp.up_proj"].float().mean() < 0.05


def test_layers_may_have_methods_of_their_own(tiny_llama):
    names = list(linear_layers(tiny_llama))
    methods = {name: Magnitude(0.5) for name in names}
    methods[names[3]] = GPTQ(4, 8)
    report = quantize_model(tiny_llama, PerLayer(methods), TOKENS)
    bits = [report.layers[name].bits_per_weight for name in names]
    assert bits[3] == 4 + 20 / 8 and bits[2] == 1 + 16 / 2
    with pytest.raises(ValueError, match="rearranges the whole model"):
        PerLayer({"a": AWQ(4, 8), "b": RoundToNearest(4, 8)})
    with pytest.raises(ValueError, match="0 methods"):
        PerLayer({})


def test_an_interrupted_run_goes_on_where_it_was(tiny_llama, tmp_path, monkeypatch):
    plain, again = copy.deepcopy(tiny_llama), copy.deepcopy(tiny_llama)
    before = {name: p for name, p in tiny_llama.named_parameters()}
    quantize_model(plain, SparseGPT(0.5), TOKENS)
    calls, honest = [], SparseGPT.quantize

    def stops(self, w, inputs):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return honest(self, w, inputs)

    monkeypatch.setattr(SparseGPT, "quantize", stops)
    with pytest.raises(KeyboardInterrupt):
        quantize_model(tiny_llama, SparseGPT(0.5), TOKENS, folder=tmp_path)
    after = dict(tiny_llama.named_parameters())
    assert all(after[name] is p for name, p in before.items()), "it is restored"
    quantize_model(again, SparseGPT(0.5), TOKENS, folder=tmp_path)
    assert len(calls) == 6 + 9, "five of fourteen layers were there already"
    assert torch.equal(again(TOKENS).logits, plain(TOKENS).logits)
    with pytest.raises(ValueError, match=r"was made by SparseGPT\(pattern=0\.5"):
        quantize_model(tiny_llama, SparseGPT(0.6), TOKENS, folder=tmp_path)


def test_a_refusal_names_the_layer_and_restores(tiny_llama):
    before = {name: p for name, p in tiny_llama.named_parameters()}
    with pytest.raises(ValueError, match=r"q_proj: m=5 does not divide the 16"):
        quantize_model(tiny_llama, Wanda((2, 5)), TOKENS)
    with pytest.raises(ValueError, match="Wanda needs calibration windows"):
        quantize_model(tiny_llama, Wanda(0.5))
    after = dict(tiny_llama.named_parameters())
    assert all(after[name] is p for name, p in before.items())
