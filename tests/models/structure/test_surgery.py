"""A cut model is its gated model, saves, loads, and writes with its cache."""

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM

from lib.layers.blocked import BlockedLinear
from lib.models.structure.gates import gated
from lib.models.structure.surgery import (
    drop_layers,
    keep_channels,
    keep_heads,
    keep_neurons,
)
from tests.conftest import llama_of

TOKENS = torch.arange(2, 14)[None]
SIZES = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(request):
    """A model of three layers, four heads over two keys."""
    return llama_of(**SIZES, tie_word_embeddings=request.param)


def logits(model):
    """Of one text."""
    with torch.no_grad():
        return model(TOKENS).logits


def goes_on(model, folder):
    """What was cut saves, loads as the same model, and a cache does not change it."""
    model.save_pretrained(folder)
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    torch.testing.assert_close(logits(loaded), logits(model))
    settings = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": -1}
    with_cache = model.generate(TOKENS, **settings, pad_token_id=0)
    without = model.generate(TOKENS, **settings, pad_token_id=0, use_cache=False)
    assert torch.equal(with_cache, without)


def test_neurons_that_are_cut_are_neurons_at_zero(model, tmp_path):
    kept = [[0, 3, 4, 20], [23, 1, 2, 9], [5, 6, 7, 8]]
    gates = torch.zeros(3, 24)
    for layer, index in enumerate(kept):
        gates[layer, index] = 1
    with gated(model, neurons=gates):
        expected = logits(model)
    keep_neurons(model, kept)
    torch.testing.assert_close(logits(model), expected)
    assert model.config.intermediate_size == 4
    goes_on(model, tmp_path)


@pytest.mark.parametrize("kept", [[[0, 2], [1, 3], [3, 0]], [[0, 1, 2, 3]] * 3])
def test_heads_that_are_cut_are_heads_at_zero(model, kept, tmp_path):
    gates = torch.zeros(3, 4)
    for layer, index in enumerate(kept):
        gates[layer, index] = 1
    with gated(model, heads=gates):
        expected = logits(model)
    keep_heads(model, kept)
    torch.testing.assert_close(logits(model), expected)
    assert model.config.num_attention_heads == len(kept[0])
    goes_on(model, tmp_path)


def test_a_layer_that_is_dropped_is_one_that_adds_nothing(model, tmp_path):
    silent = copy.deepcopy(model)
    for writer in ("self_attn.o_proj", "mlp.down_proj"):
        silent.model.layers[1].get_submodule(writer).weight.zero_()
    drop_layers(model, [1])
    torch.testing.assert_close(logits(model), logits(silent))
    assert model.config.num_hidden_layers == 2
    goes_on(model, tmp_path)


def test_channels_that_carry_nothing_can_be_cut(model, tmp_path):
    """With 4 of 16 channels at zero the stream has 12; only the norm's mean knows."""
    kept = torch.tensor([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14])
    gone = torch.tensor([3, 7, 11, 15])
    model.get_input_embeddings().weight[:, gone] = 0
    for block in model.model.layers:
        block.self_attn.o_proj.weight[gone] = 0
        block.mlp.down_proj.weight[gone] = 0
    norms = [m for name, m in model.named_modules() if name.endswith("norm")]
    for norm in norms:  # √(mean of 16) is √(12/16) of √(mean of 12)
        norm.variance_epsilon = 0.0
    expected = logits(model)
    keep_channels(model, kept)
    for norm in norms:
        norm.weight.mul_((16 / 12) ** 0.5)
    torch.testing.assert_close(logits(model), expected)
    for norm in norms:
        norm.variance_epsilon = model.config.rms_norm_eps
    assert model.config.hidden_size == 12
    goes_on(model, tmp_path)


def test_all_cuts_after_another(model, tmp_path):
    drop_layers(model, [0])
    keep_heads(model, [[0, 2], [1, 2]])
    keep_neurons(model, [range(8), range(8, 16)])
    keep_channels(model, range(2, 14))
    goes_on(model, tmp_path)


def test_refusals(model):
    before = {name: w.clone() for name, w in model.state_dict().items()}
    refused = [
        (drop_layers, ([3],), "layers \\[3\\] of 3"),
        (drop_layers, ([0, 1, 2],), "of 3"),
        (keep_neurons, ([[0]] * 2,), "2 lists of neurons for 3 layers"),
        (keep_neurons, ([[0], [24], [0]],), "layer 1 keeps neurons \\[24\\]"),
        (keep_neurons, ([[0], [1, 2], [0]],), "layer 1 keeps 2 neurons, layer 0 1"),
        (keep_heads, ([[0, 0]] * 3,), "none twice"),
        (keep_heads, ([[0, 1]] * 3,), "its groups keep \\[2, 0\\] heads"),
        (keep_channels, ([],), "at least one"),
    ]
    for cut, arguments, words in refused:
        with pytest.raises(ValueError, match=words):
            cut(model, *arguments)
    after = model.state_dict()
    assert all(torch.equal(after[name], w) for name, w in before.items())


def test_a_quantized_model_is_not_cut(model):
    mlp = model.model.layers[0].mlp
    mlp.up_proj = BlockedLinear(mlp.up_proj)
    with pytest.raises(ValueError, match="cut first, then quantize"):
        keep_neurons(model, [[0]] * 3)
