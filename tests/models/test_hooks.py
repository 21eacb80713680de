"""Inputs are seen as the layers see them, and no hook is left behind."""

import pytest
import torch
from torch import nn

from lib.models.hooks import before, capture_inputs, stream_inputs
from lib.models.walk import linear_layers

WINDOWS = torch.arange(30).view(3, 10)


def test_captured_inputs_reproduce_the_layers_outputs(tiny_llama):
    name = "model.layers.1.self_attn.o_proj"
    layer, outputs = linear_layers(tiny_llama)[name], []
    handle = layer.register_forward_hook(lambda *args: outputs.append(args[-1]))
    later = "model.layers.1.mlp.up_proj"  # so that the layer itself runs
    inputs = capture_inputs(tiny_llama, [name, later], WINDOWS, batch=2)[name]
    handle.remove()
    assert inputs.shape == (30, 16)
    expected = torch.cat([out.flatten(0, 1) for out in outputs])
    torch.testing.assert_close(layer(inputs), expected)


def test_streaming_sums_what_capturing_stores(tiny_llama):
    names = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"]
    gram = {name: 0.0 for name in names}

    def receiver(name):
        def add(x):
            gram[name] = gram[name] + x.T @ x

        return add

    stream_inputs(tiny_llama, WINDOWS, {n: receiver(n) for n in names}, batch=1)
    stored = capture_inputs(tiny_llama, names, WINDOWS, batch=3)
    for name in names:
        torch.testing.assert_close(gram[name], stored[name].T @ stored[name])
    hooks = [m for m in tiny_llama.modules() if m._forward_pre_hooks]
    assert not hooks, "a hook was left behind"


def test_a_receiver_that_fails_leaves_no_hook(tiny_llama):
    with pytest.raises(ZeroDivisionError):
        stream_inputs(
            tiny_llama, WINDOWS, {"model.layers.0.mlp.up_proj": lambda x: 1 // 0}
        )
    assert not [m for m in tiny_llama.modules() if m._forward_pre_hooks]


def test_captured_inputs_can_be_trained_on(tiny_llama):
    name = "model.layers.0.mlp.up_proj"
    x = capture_inputs(tiny_llama, [name], WINDOWS)[name]
    weight = torch.zeros(16, requires_grad=True)
    (x @ weight).sum().backward()  # inference tensors would refuse
    torch.testing.assert_close(weight.grad, x.sum(0))


def test_bad_questions(tiny_llama):
    with pytest.raises(ValueError, match=r"windows of shape \(0, 10\)"):
        capture_inputs(tiny_llama, ["model.layers.0.mlp.up_proj"], WINDOWS[:0])
    with pytest.raises(ValueError, match="no layer named 'lm_head'"):
        capture_inputs(tiny_llama, ["lm_head"], WINDOWS)


def test_what_look_returns_goes_in_and_what_ran_before_has_run():
    layer = nn.Linear(3, 3, bias=False)
    layer.weight = nn.Parameter(torch.eye(3))
    layer.register_forward_pre_hook(lambda _, args: (args[0] + 1,))
    seen = []

    def look(arrival):
        seen.append(arrival.x)
        return 10 * arrival.x

    x = torch.arange(3.0)
    with before({"it": layer}, look):
        assert torch.equal(layer(x), 10 * (x + 1))
    assert torch.equal(seen[0], x + 1) and torch.equal(layer(x), x + 1)


def test_inputs_by_keyword_are_inputs():
    layer, x = nn.Linear(3, 2), torch.ones(4, 3)
    with before({"it": layer}, lambda arrival: 2 * arrival.x):
        assert torch.equal(layer(input=x), layer.forward(2 * x))


def test_a_block_can_be_run_again_with_other_inputs(tiny_llama):
    blocks = {str(n): block for n, block in enumerate(tiny_llama.model.layers)}
    outputs, again = [], []
    handle = blocks["1"].register_forward_hook(lambda *args: outputs.append(args[-1]))

    def look(arrival):
        again.append((arrival.output(), arrival.output(0 * arrival.x)))

    with before({"1": blocks["1"]}, look):
        tiny_llama(WINDOWS)
    handle.remove()
    (same, other), *_ = again
    assert torch.equal(same, outputs[0]) and not torch.equal(other, same)


def test_a_layer_without_a_tensor_is_named():
    with (
        before({"odd": nn.Identity()}, lambda arrival: None),
        pytest.raises(ValueError, match="odd was called without a tensor"),
    ):
        module = nn.Identity()
        with before({"odd": module}, lambda arrival: None):
            module(None)


def test_nothing_runs_that_comes_after_the_last_layer_watched(tiny_llama):
    names, ran = ["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj"], []
    layers, batches = linear_layers(tiny_llama), {name: [] for name in names}
    handles = [
        layer.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, layer in layers.items()
    ]
    receivers = {name: seen.append for name, seen in batches.items()}
    stream_inputs(tiny_llama, WINDOWS, receivers, batch=1)
    for handle in handles:
        handle.remove()
    assert [len(seen) for seen in batches.values()] == [3, 3]
    assert ran == 3 * list(layers)[: list(layers).index(names[1])]
