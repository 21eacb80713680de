"""Rotations leave a model what it is; rounding, files, failures meet a turned one."""

import copy
from dataclasses import replace

import pytest
import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
)

from lib.models.packed_file import dense, load_quantized, save_quantized
from lib.models.quantize import quantize_model
from lib.models.rotate.fold import fold_norms, gain, untie_head
from lib.models.rotate.method import Rotate
from lib.models.rotate.online import (
    Inputs,
    Reading,
    inputs_of,
    online_parts,
    round_online,
)
from lib.models.rotate.turn import (
    Rotations,
    draw_rotations,
    rotate_heads,
    rotate_keys,
    rotate_model,
    rotate_stream,
)
from lib.models.walk import replace_layer
from lib.quant.aware.tokens import fake_tokens
from lib.quant.rotations.hadamard import hadamard_transform
from lib.quant.solvers.gptq import GPTQ
from lib.quant.uniform.grouped import RoundToNearest
from tests.models.every_form import dense_form

TOKENS = torch.randint(40, (4, 16), generator=torch.Generator().manual_seed(0))
DOWN = "model.layers.1.mlp.down_proj"


@pytest.fixture
def model(tiny_llama):
    """Tied, with gains that are no ones."""
    draw = torch.Generator().manual_seed(3)
    for name, parameter in tiny_llama.named_parameters():
        if "norm" in name:
            parameter.data = torch.rand(parameter.shape, generator=draw) + 0.5
    return tiny_llama.double()


@pytest.mark.parametrize("kind", ["hadamard", "orthogonal"])
@pytest.mark.parametrize("online", [True, False])
@torch.no_grad()
def test_the_logits_stay_and_the_weights_do_not(model, kind, online):
    plain, before = model(TOKENS).logits, copy.deepcopy(model.state_dict())
    rotate_model(model, draw_rotations(model, 1, kind), online=online)
    torch.testing.assert_close(model(TOKENS).logits, plain)
    for name, w in model.state_dict().items():
        still = "k_proj" in name  # its inputs turn
        assert still or not torch.equal(w, before[name]), name


@torch.no_grad()
def test_in_float32_the_logits_move_by_rounding_alone(model):
    model = model.float()
    plain = model(TOKENS).logits
    rotate_model(model)
    assert (model(TOKENS).logits - plain).abs().amax() < 1e-5 * plain.abs().amax()


@torch.no_grad()
def test_generation_through_a_cache_stays(model):
    plain = model.generate(TOKENS, max_new_tokens=8, do_sample=False)
    rotate_model(model)
    again = model.generate(TOKENS, max_new_tokens=8, do_sample=False)
    assert torch.equal(again, plain)


@torch.no_grad()
def test_biases_turn_along(small_llama):
    model = small_llama(attention_bias=True, mlp_bias=True).double()
    draw = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data = torch.randn(parameter.shape, generator=draw).double()
    plain = model(TOKENS).logits
    rotate_model(model)
    torch.testing.assert_close(model(TOKENS).logits, plain)


@torch.no_grad()
def test_gemmas_norms_multiply_by_one_plus_g():
    config = GemmaConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    torch.manual_seed(0)
    model = GemmaForCausalLM(config).double().eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data.uniform_(-0.5, 0.5)
    norm = model.model.norm
    torch.testing.assert_close(gain(norm), 1 + norm.weight)
    plain = model(TOKENS).logits
    rotate_model(model)
    torch.testing.assert_close(model(TOKENS).logits, plain)
    assert not norm.weight.any()


def test_folding_into_a_tied_head_is_refused_and_untying_says_so(model):
    with pytest.raises(ValueError, match="tied"):
        fold_norms(model)
    untie_head(model)
    assert not model.config.tie_word_embeddings
    model.tie_weights()
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    assert head.weight is not embedding.weight


def test_a_norm_that_subtracts_the_mean_is_refused():
    norm = torch.nn.LayerNorm(8)
    with pytest.raises(ValueError, match="LayerNorm does more"):
        gain(norm)


def test_gains_must_be_folded_first_and_rotations_be_rotations(model):
    r = draw_rotations(model)
    untie_head(model)
    with pytest.raises(ValueError, match="has a gain"):
        rotate_stream(model, r.stream)
    with pytest.raises(ValueError, match="away from I"):
        Rotations(1.01 * r.stream, r.heads)
    with pytest.raises(ValueError, match="kind='any'"):
        draw_rotations(model, kind="any")


def test_where_the_model_would_change_all_is_undone(model, monkeypatch):
    def wrong(model, heads):
        rotate_heads(model, heads)
        layer = model.model.layers[0].self_attn.o_proj
        layer.weight = torch.nn.Parameter(-layer.weight)

    monkeypatch.setattr("lib.models.rotate.turn.rotate_heads", wrong)
    before, plain = dict(model.named_parameters()), model(TOKENS).logits
    with pytest.raises(ValueError, match="would not compute what it did"):
        rotate_model(model)
    after = dict(model.named_parameters())
    assert before.keys() == after.keys()
    assert all(after[name] is parameter for name, parameter in before.items())
    assert model.config.tie_word_embeddings
    assert not online_parts(model)
    assert torch.equal(model(TOKENS).logits, plain)


METHODS = [
    Rotate(RoundToNearest(3, 8)),
    Rotate(GPTQ(3, 8), seed=2),
    Rotate(GPTQ(3, 8), kind="orthogonal"),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_packed_saved_loaded_and_dense_are_one_rotated_model(
    tiny_llama, method, tmp_path
):
    rotated = dense_form(tiny_llama, method, TOKENS, tmp_path)
    assert inputs_of(rotated.get_submodule(DOWN)) == Inputs(hadamard=True)


@torch.no_grad()
def test_rounding_of_inputs_and_caches_is_saved_as_well(tiny_llama, tmp_path):
    fresh = copy.deepcopy(tiny_llama)
    quantize_model(tiny_llama, Rotate(RoundToNearest(4, 8)))
    round_online(tiny_llama, inputs=4, cache=3, clip=0.9, cache_clip=0.95)
    save_quantized(tiny_llama, tmp_path / "m.safetensors", dtype=torch.float32)
    load_quantized(fresh, tmp_path / "m.safetensors")
    assert online_parts(fresh) == online_parts(tiny_llama)
    assert torch.equal(fresh(TOKENS).logits, tiny_llama(TOKENS).logits)
    dense(fresh)
    assert torch.equal(fresh(TOKENS).logits, tiny_llama(TOKENS).logits)


def test_a_file_that_does_not_fit_leaves_the_model_tied(
    tiny_llama, small_llama, tmp_path
):
    quantize_model(tiny_llama, Rotate(RoundToNearest(4, 8)))
    save_quantized(tiny_llama, tmp_path / "m.safetensors")
    other = small_llama(tie_word_embeddings=True, num_hidden_layers=1)
    with pytest.raises(ValueError, match="does not fit"):
        load_quantized(other, tmp_path / "m.safetensors")
    assert other.get_output_embeddings().weight is other.get_input_embeddings().weight
    assert other.config.tie_word_embeddings and not online_parts(other)


def test_folding_alone_is_the_control(model):
    plain = model(TOKENS).logits
    Rotate(RoundToNearest(), kind="none").prepare(model, None)
    torch.testing.assert_close(model(TOKENS).logits, plain)
    assert not online_parts(model)
    with pytest.raises(ValueError, match="kind='some'"):
        Rotate(RoundToNearest(), kind="some")


def test_the_report_counts_the_head_that_was_untied(tiny_llama):
    report = quantize_model(tiny_llama, Rotate(RoundToNearest(4, 8)))
    assert "lm_head.weight" in report.dense


@torch.no_grad()
def test_online_parts_do_what_their_equations_say(model):
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(3, 32, generator=draw)
    layer = torch.nn.Identity()
    (rounded,) = Inputs(hadamard=True, bits=4, clip=0.9)(layer, (x,))
    assert torch.equal(rounded, fake_tokens(hadamard_transform(x), 4, 0.9))
    q, k, v = (torch.randn(2, 2, 5, 8, generator=draw).double() for _ in range(3))
    turned_q, turned_k, same = Reading(hadamard=True)(q, k, v)
    torch.testing.assert_close(turned_q @ turned_k.mT, q @ k.mT)
    assert torch.equal(same, v) and not torch.equal(turned_k, k)
    rotate_keys(model)
    round_online(model, cache=2)
    reading = model.model.layers[0].self_attn.online
    assert reading.settings == {"hadamard": True, "bits": 2, "clip": 1.0}
    *_, coarse = reading(q, k, v)
    assert all(len(row.unique()) <= 4 for row in coarse.flatten(0, -2))


def test_a_replaced_layer_keeps_its_transform_and_there_is_one_hook(model):
    rotate_model(model)
    round_online(model, inputs=8)
    round_online(model, inputs=4)
    layer = model.get_submodule(DOWN)
    assert len(layer._forward_pre_hooks) == 1
    new = torch.nn.Linear(*layer.weight.T.shape, bias=False)
    replace_layer(model, DOWN, new)
    assert inputs_of(new) == replace(Inputs(hadamard=True), bits=4)


@torch.no_grad()
def test_r1_takes_an_outlier_channel_apart(small_llama):
    model = small_llama(hidden_size=64, intermediate_size=64).double()
    embedding = model.get_input_embeddings()
    embedding.weight.data[:, 5] *= 100

    def peak():
        h = model.model(TOKENS, output_hidden_states=True).hidden_states[0]
        return (h.abs().amax(-1) / h.square().mean(-1).sqrt()).mean().item()

    before = peak()
    rotate_model(model)
    assert before > 6 and peak() < 3, "√64 is 8, and a Hadamard row leaves 1"


def test_other_shapes_are_refused():
    config = GPTNeoXConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    with pytest.raises(ValueError, match="not Llama-shaped"):
        rotate_model(GPTNeoXForCausalLM(config))
