"""One walk for every method; and a model that is whole again, whatever went wrong."""

import copy

import pytest
import torch
from torch import nn

from lib.models.quantize import quantize_model
from lib.models.rescale import AWQ
from lib.models.sequential import restored_on_failure, visit_layers
from lib.models.walk import linear_layers, replace_layer
from lib.prune import column_norms, kept_per_row, wanda_score
from lib.quant.solvers.gptq import GPTQ
from lib.quant.uniform.grid import fake_quantize

TOKENS = torch.randint(40, (4, 16), generator=torch.Generator().manual_seed(0))


def everything_of(model):
    """Names of all tensors and modules, and which objects they are."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    modules = dict(model.named_modules())
    hooks = [
        len(m._forward_pre_hooks) + len(m._forward_hooks) for m in modules.values()
    ]
    return {k: id(v) for k, v in (tensors | modules).items()}, hooks


def test_pruning_takes_the_same_walk(tiny_llama):
    """Wanda, each layer on the inputs that pruned layers make; against a slow loop."""
    by_hand = copy.deepcopy(tiny_llama)

    def prune(w, x):
        score = wanda_score(w, column_norms(x.flatten(0, -2)))
        return nn.Parameter(w * kept_per_row(score, 0.5), requires_grad=False)

    def visit(arrival):
        arrival.layer.weight = prune(arrival.layer.weight, arrival.x)

    layers = linear_layers(tiny_llama)
    visit_layers(tiny_llama, layers, TOKENS, visit, label="pruning")
    for name, layer in linear_layers(by_hand).items():
        seen = []
        handle = layer.register_forward_pre_hook(lambda _, a, s=seen: s.append(a[0]))
        by_hand(TOKENS)
        handle.remove()
        layer.weight = prune(layer.weight, seen[0])
        assert torch.equal(layer.weight, layers[name].weight), name
        assert (layer.weight == 0).float().mean() == 0.5


def test_training_block_by_block_takes_it_too(tiny_llama):
    """Rounded blocks whose norms learn to give what the original blocks gave."""
    names = {f"model.layers.{n}": b for n, b in enumerate(tiny_llama.model.layers)}
    errors = []

    def visit(arrival):
        target = arrival.output()
        for layer in linear_layers(arrival.layer).values():
            w = fake_quantize(layer.weight, bits=3, group=8)
            layer.weight = nn.Parameter(w, requires_grad=False)
        norms = [arrival.layer.input_layernorm, arrival.layer.post_attention_layernorm]
        for norm in norms:
            norm.weight = nn.Parameter(norm.weight.clone())
        optimizer = torch.optim.Adam([norm.weight for norm in norms], lr=1e-2)
        with torch.enable_grad():
            for _ in range(20):
                error = (arrival.output() - target).square().mean()
                errors.append(error.item())
                optimizer.zero_grad()
                error.backward()
                optimizer.step()

    visit_layers(tiny_llama, names, TOKENS, visit, label="training")
    assert errors[19] < errors[0] and errors[39] < errors[20]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("method", [GPTQ(3, 8), AWQ(3, 8)], ids=["GPTQ", "AWQ"])
@pytest.mark.parametrize("sequential", [True, False])
def test_a_failure_leaves_the_very_same_model(
    method, error, sequential, tiny_llama, monkeypatch
):
    values = copy.deepcopy(tiny_llama.state_dict())
    before, calls = everything_of(tiny_llama), []
    honest = type(method).quantize

    def fails(self, w, inputs):
        calls.append(1)
        if len(calls) == 9:
            raise error("enough")
        return honest(self, w, inputs)

    monkeypatch.setattr(type(method), "quantize", fails)
    with pytest.raises(error, match="enough"):
        quantize_model(tiny_llama, method, TOKENS, sequential=sequential)
    assert everything_of(tiny_llama) == before
    for name, tensor in tiny_llama.state_dict().items():
        assert torch.equal(tensor, values[name]), f"{name} was written to"


def test_a_retry_is_as_good_as_a_first_try(tiny_llama):
    """What a refused method left rounded would calibrate the next one."""
    plain = copy.deepcopy(tiny_llama)
    with pytest.raises(ValueError, match=r"down_proj: group=16 does not divide the 24"):
        quantize_model(tiny_llama, GPTQ(2, 16), TOKENS)
    quantize_model(plain, GPTQ(3, 8), TOKENS)
    quantize_model(tiny_llama, GPTQ(3, 8), TOKENS)
    assert torch.equal(tiny_llama(TOKENS).logits, plain(TOKENS).logits)


def test_modules_and_hooks_come_back_too(tiny_llama):
    before = everything_of(tiny_llama)
    name = "model.layers.0.mlp.up_proj"
    tiny_llama.get_submodule(name).register_forward_hook(lambda *args: None)
    before[1][list(dict(tiny_llama.named_modules())).index(name)] = 1
    with pytest.raises(ZeroDivisionError), restored_on_failure(tiny_llama):
        replace_layer(tiny_llama, name, nn.Linear(16, 24))
        tiny_llama.extra = nn.Linear(2, 2)
        tiny_llama.register_buffer("more", torch.zeros(1))
        del tiny_llama.model.norm
        _ = 1 / 0
    assert everything_of(tiny_llama) == before


def test_success_keeps_what_was_done(tiny_llama):
    with restored_on_failure(tiny_llama):
        tiny_llama.model.norm = nn.Identity()
    assert isinstance(tiny_llama.model.norm, nn.Identity)


def test_layers_that_run_twice_or_never_are_named(tiny_llama):
    layers = linear_layers(tiny_llama)
    tiny_llama.model.layers.append(tiny_llama.model.layers[0])
    tiny_llama.config.num_hidden_layers = 3
    with pytest.raises(ValueError, match=r"layers\.0\.self_attn\.q_proj runs twice"):
        visit_layers(tiny_llama, layers, TOKENS, lambda arrival: None, label="")
    strangers = {"stranger": nn.Linear(2, 2)}
    with pytest.raises(ValueError, match="1 layers got no inputs, first stranger"):
        visit_layers(tiny_llama, strangers, TOKENS, lambda arrival: None, label="")
