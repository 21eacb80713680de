"""A gate at 1 changes nothing, and its gradient is what a head is worth."""

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from lib.models.structure.gates import (
    gated,
    head_gradients,
    watch_channels,
    watch_structure,
)
from lib.models.structure.surgery import keep_channels, keep_heads, keep_neurons
from tests.conftest import llama_of

WINDOWS = torch.arange(30).view(3, 10)


def model():
    """Two heads over one key."""
    return llama_of()


def loss_of(net, window, **gates):
    """The mean loss of one window."""
    with torch.no_grad(), gated(net, **gates):
        return cross_entropy(net(window[None]).logits[0, :-1], window[1:]).item()


def test_open_gates_change_nothing_and_leave_nothing_behind():
    net = model()
    plain = net(WINDOWS).logits
    with gated(net, heads=torch.ones(2, 2), neurons=torch.ones(2, 24)):
        assert torch.equal(net(WINDOWS).logits, plain)
    with gated(net, heads=torch.zeros(2, 2)):
        assert not torch.equal(net(WINDOWS).logits, plain)
    assert torch.equal(net(WINDOWS).logits, plain)


@pytest.mark.parametrize("tied", [False, True])
def test_the_model_without_channels_is_the_model_with_their_gates_closed(tied):
    """With neurons and heads gone as well: all three kinds at once."""
    net = llama_of(
        tie_word_embeddings=tied,
        num_attention_heads=4,
        num_key_value_heads=2,
        rms_norm_eps=1e-2,  # as large as squares are: a mean over too many would show
    )
    stream, heads, neurons = torch.zeros(16), torch.zeros(2, 4), torch.zeros(2, 24)
    stream[[0, 2, 3, 7, 11, 12, 15]] = heads[:, [0, 3]] = neurons[:, 5:17] = 1
    for norm in (m for name, m in net.named_modules() if name.endswith("norm")):
        norm.weight.data.uniform_(0.5, 1.5)
    with gated(net, heads=heads, neurons=neurons, channels=stream):
        closed = net(WINDOWS).logits
    keep_heads(net, [[0, 3]] * 2)
    keep_neurons(net, [range(5, 17)] * 2)
    keep_channels(net, stream.nonzero().flatten())
    torch.testing.assert_close(closed, net(WINDOWS).logits, rtol=1e-5, atol=1e-6)


def test_gradients_are_finite_differences_one_window_at_a_time():
    net = model().double()
    found = head_gradients(net, WINDOWS)
    assert found.shape == (3, 2, 2)
    for layer, head in ((0, 0), (0, 1), (1, 1)):
        up, down = torch.ones(2, 2).double(), torch.ones(2, 2).double()
        up[layer, head] += 1e-2
        down[layer, head] -= 1e-2
        for row, window in enumerate(WINDOWS):
            slope = loss_of(net, window, heads=up) - loss_of(net, window, heads=down)
            assert found[row, layer, head].item() == pytest.approx(
                slope / 2e-2, rel=1e-2, abs=1e-5
            )
    assert not any(w.requires_grad or w.grad is not None for w in net.parameters())


def test_what_is_watched_is_what_the_parts_make():
    net = model()
    with torch.no_grad():
        streams = net(WINDOWS, output_hidden_states=True).hidden_states
    neurons, influence = watch_structure(net, WINDOWS, batch=2)
    cosine = cosine_similarity(*streams[:2], dim=-1)
    assert influence[0].score == pytest.approx(1 - cosine.mean().item(), abs=1e-6)
    assert influence[1].tokens == WINDOWS.numel()
    block = net.model.layers[0]
    with torch.no_grad():
        kept: list[torch.Tensor] = []
        handle = block.mlp.down_proj.register_forward_pre_hook(
            lambda _, args: kept.append(args[0])
        )
        net(WINDOWS)
        handle.remove()
    expected = kept[0].double().abs().mean(1).norm(dim=0)
    torch.testing.assert_close(neurons[0].score, expected, rtol=1e-5, atol=1e-9)


def test_refusals():
    wrong = gated(model(), heads=torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"gates of heads are \(2, 3\)"), wrong:
        pass
    for channels, message in (
        (torch.ones(3), r"\(3,\) gates of 16 channels"),
        (torch.zeros(16), "no channel of 16 is open"),
    ):
        with (
            pytest.raises(ValueError, match=message),
            gated(model(), channels=channels),
        ):
            pass


def test_channels_are_watched_at_both_norms_of_every_block():
    net = model()
    made: list[torch.Tensor] = []
    handles = [
        norm.register_forward_hook(lambda _, __, out: made.append(out))
        for block in net.model.layers
        for norm in (block.input_layernorm, block.post_attention_layernorm)
    ]
    found = watch_channels(net, WINDOWS, batch=3)
    for handle in handles:
        handle.remove()
    means = torch.stack([out.double().abs().mean(1) for out in made])
    torch.testing.assert_close(found.score, means.square().sum((0, 1)).sqrt())
