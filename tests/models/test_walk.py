import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from lib.models.walk import (
    linear_layers,
    map_weights,
    mapped_weights,
    replace_layer,
)

WINDOWS = torch.arange(30).view(3, 10)


def test_every_linear_layer_but_the_tied_head(tiny_llama, smollm2):
    layers = linear_layers(tiny_llama)
    assert len(layers) == 2 * 7 and "lm_head" not in layers
    real = linear_layers(smollm2[0])
    assert len(real) == 30 * 7
    counted = sum(layer.weight.numel() for layer in real.values())
    norms = (2 * 30 + 1) * 576
    assert counted + norms + 49152 * 576 == 134_515_008, "a parameter is in two places"


def test_an_untied_head_is_left_alone_too(tiny_llama):
    tiny_llama.lm_head.weight = nn.Parameter(tiny_llama.lm_head.weight.clone())
    assert "lm_head" not in linear_layers(tiny_llama)


def test_models_that_cannot_be_walked():
    gpt2 = GPT2LMHeadModel(
        GPT2Config(vocab_size=9, n_embd=4, n_layer=1, n_head=1, n_positions=8)
    )
    with pytest.raises(ValueError, match=r"c_attn is a Conv1D, which holds W transp"):
        linear_layers(gpt2)
    with pytest.raises(ValueError, match=r"no nn.Linear besides the head, only Embed"):
        linear_layers(nn.Embedding(3, 2))
    tied = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    tied[2].weight = tied[0].weight
    with pytest.raises(ValueError, match="0 and 2 share one weight"):
        linear_layers(tied)


def test_mapped_weights_come_back_as_the_very_same_tensors(tiny_llama):
    before = {name: p for name, p in tiny_llama.named_parameters()}
    values = {name: p.clone() for name, p in before.items()}
    logits = tiny_llama(WINDOWS).logits
    with mapped_weights(tiny_llama, lambda _, w: 0.5 * w):
        assert not torch.equal(tiny_llama(WINDOWS).logits, logits)
        changed = [n for n, p in tiny_llama.named_parameters() if p is not before[n]]
        assert len(changed) == 14
    after = dict(tiny_llama.named_parameters())
    assert all(after[name] is before[name] for name in before)
    assert all(torch.equal(after[name], values[name]) for name in before)
    assert tiny_llama.lm_head.weight is tiny_llama.model.embed_tokens.weight


def test_an_error_inside_the_block_restores_too(tiny_llama):
    logits = tiny_llama(WINDOWS).logits
    with pytest.raises(KeyError), mapped_weights(tiny_llama, lambda _, w: 0 * w):
        raise KeyError
    assert torch.equal(tiny_llama(WINDOWS).logits, logits)


def test_the_identity_changes_nothing_and_names_select(tiny_llama):
    logits = tiny_llama(WINDOWS).logits
    with mapped_weights(tiny_llama, lambda _, w: w.double()):
        assert torch.equal(tiny_llama(WINDOWS).logits, logits)
    seen = []
    name = "model.layers.1.mlp.up_proj"
    map_weights(tiny_llama, lambda n, w: seen.append(n) or w, [name])
    assert seen == [name]


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda _, w: w.T, r"k_proj: the new weight has shape"),
        (lambda _, w: w.to(torch.int8), r"is torch.int8: dequantize it first"),
        (lambda _, w: w / 0, r"of \d+ new weights are not finite"),
    ],
)
def test_what_cannot_be_a_weight_is_refused_and_nothing_changes(
    tiny_llama, fn, message
):
    logits = tiny_llama(WINDOWS).logits
    names = ["model.layers.0.mlp.up_proj", "model.layers.1.self_attn.k_proj"]
    with pytest.raises(ValueError, match=message):
        map_weights(tiny_llama, lambda n, w: fn(n, w) if n == names[1] else -w, names)
    assert torch.equal(tiny_llama(WINDOWS).logits, logits)


def test_replacing_a_layer_and_putting_it_back(tiny_llama):
    name = "model.layers.0.mlp.down_proj"
    logits = tiny_llama(WINDOWS).logits
    old = replace_layer(tiny_llama, name, nn.Linear(24, 16))
    assert not torch.equal(tiny_llama(WINDOWS).logits, logits)
    replace_layer(tiny_llama, name, old)
    assert torch.equal(tiny_llama(WINDOWS).logits, logits)
    with pytest.raises(ValueError, match=r"no layer named .*near: .*down_proj"):
        replace_layer(tiny_llama, "model.layers.0.mlp.down_prj", old)
    with pytest.raises(ValueError, match="no layer named ''"):
        replace_layer(tiny_llama, "", old)


def test_what_runs_around_a_layer_moves_to_its_successor(tiny_llama):
    """An online rotation before a layer must survive quantizing it."""
    name = "model.layers.0.mlp.down_proj"
    old = tiny_llama.get_submodule(name)
    sign = torch.ones(24).index_fill(0, torch.arange(0, 24, 2), -1.0)
    before = old.register_forward_pre_hook(lambda _, args: (args[0] * sign,))
    after = old.register_forward_hook(lambda *args: args[-1] + 1)
    logits = tiny_llama(WINDOWS).logits
    copy = nn.Linear(24, 16, bias=False)
    copy.weight = old.weight
    seen = []
    copy.register_forward_hook(lambda *args: seen.append(args[-1]))
    replace_layer(tiny_llama, name, copy)
    assert torch.equal(tiny_llama(WINDOWS).logits, logits) and len(seen) == 1
    assert torch.equal(old(torch.ones(24)), torch.ones(24) @ old.weight.T), "no hooks"
    before.remove()
    after.remove()  # a handle finds its hook where it went
    assert not torch.equal(tiny_llama(WINDOWS).logits, logits)
    assert len(copy._forward_hooks) == 1 and not copy._forward_pre_hooks
