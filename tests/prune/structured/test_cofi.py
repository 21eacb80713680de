"""The expected size is exact; a cut model has the counted one; λ finds its target."""

import itertools

import pytest
import torch

from lib.models.structure.surgery import keep_channels, keep_heads, keep_neurons
from lib.prune.structured.cofi import (
    CoarseFine,
    Lagrangian,
    Shape,
    expected_weights,
    weights_of,
)
from tests.conftest import llama_of

SMALL = Shape(layers=1, heads=4, groups=2, neurons=3, hidden=5, head_dim=7)


def count_by_hand(shape, attention, feed, heads, neurons):
    """Weights of matrices whose rows and columns are there, group by group."""
    each, total = shape.heads // shape.groups, 0
    for layer in range(shape.layers):
        if attention[layer]:
            for group in range(shape.groups):
                run = heads[layer][group * each : (group + 1) * each]
                total += 2 * shape.hidden * shape.head_dim * (sum(run) + any(run))
        if feed[layer]:
            total += 3 * shape.hidden * sum(neurons[layer])
    return total


def test_the_expected_size_is_the_mean_over_every_outcome(generator):
    p = torch.rand(9, dtype=torch.float64, generator=generator)
    expected = 0.0
    for outcome in itertools.product((0, 1), repeat=9):
        z = torch.tensor(outcome, dtype=torch.float64)
        chance = (z * p + (1 - z) * (1 - p)).prod().item()
        attention, feed = outcome[:1], outcome[1:2]
        heads, neurons = [outcome[2:6]], [outcome[6:]]
        expected += chance * count_by_hand(SMALL, attention, feed, heads, neurons)
    found = expected_weights(
        SMALL, attention=p[:1], feed=p[1:2], heads=p[None, 2:6], neurons=p[None, 6:]
    )
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_samples_have_the_expected_size(generator):
    """A mean of 600 draws, to five of its own deviations."""
    gates = CoarseFine(SMALL, start=0.0)
    sizes = []
    for _ in range(600):
        masks = gates.sample(generator)
        sizes.append(weights_of(SMALL, heads=masks["heads"], neurons=masks["neurons"]))
    sizes = torch.tensor(sizes, dtype=torch.float64) / SMALL.full
    deviation = sizes.std() / len(sizes) ** 0.5
    gap = sizes.mean() - gates.expected_share().item()
    assert abs(gap) <= 5 * deviation, f"{gap} is {abs(gap) / deviation} deviations"


def test_a_count_is_that_of_the_cut_model():
    net = llama_of(num_attention_heads=4, num_key_value_heads=2)
    config = net.config
    size = getattr(config, "head_dim", None) or config.hidden_size // 4
    layers, neurons = config.num_hidden_layers, config.intermediate_size
    shape = Shape(layers, 4, 2, neurons, config.hidden_size, size)
    matrices = [w for block in net.model.layers for w in block.parameters()]
    assert sum(w.numel() for w in matrices if w.ndim == 2) == shape.full
    heads, few = torch.zeros(layers, 4), torch.zeros(layers, neurons)
    heads[:, [1, 2]], few[:, 3:8] = 1, 1
    keep_heads(net, [[1, 2]] * layers)
    keep_neurons(net, [range(3, 8)] * layers)
    matrices = [w for block in net.model.layers for w in block.parameters()]
    left = sum(w.numel() for w in matrices if w.ndim == 2)
    assert weights_of(shape, heads=heads, neurons=few) == left


def test_channels_multiply_the_size_and_a_cut_model_has_it(generator):
    net = llama_of(num_attention_heads=4, num_key_value_heads=2)
    config = net.config
    size = getattr(config, "head_dim", None) or config.hidden_size // 4
    shape = Shape(2, 4, 2, config.intermediate_size, config.hidden_size, size)
    open_ones = torch.ones(2, 4), torch.ones(2, config.intermediate_size)
    stream = torch.zeros(config.hidden_size)
    stream[[0, 3, 4, 9, 15]] = 1
    keep_channels(net, stream.nonzero().flatten())
    matrices = [w for block in net.model.layers for w in block.parameters()]
    left = sum(w.numel() for w in matrices if w.ndim == 2)
    masks = {"heads": open_ones[0], "neurons": open_ones[1], "channels": stream}
    assert weights_of(shape, **masks) == left
    gates = CoarseFine(SMALL, start=0.0, channels=True)
    drawn = [gates.sample(generator) for _ in range(600)]
    sizes = torch.tensor([weights_of(SMALL, **m) for m in drawn]).double() / SMALL.full
    deviation = sizes.std() / len(sizes) ** 0.5
    gap = sizes.mean() - gates.expected_share().item()
    assert abs(gap) <= 5 * deviation, f"{gap} is {abs(gap) / deviation} deviations"


def test_one_closed_coarse_gate_closes_all_below_it(generator):
    gates = CoarseFine(Shape(3, 4, 2, 5, 8, 2))
    with torch.no_grad():
        gates.log_alpha["attention"][1] = gates.log_alpha["feed"][2] = -50
    masks = gates.sample(generator)
    assert (masks["heads"][1] == 0).all() and (masks["heads"][[0, 2]] != 0).any()
    assert (masks["neurons"][2] == 0).all() and (masks["neurons"][:2] != 0).any()


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize("share", [0.15, 0.5, 0.9, 1.0])
def test_hard_masks_fit_the_size_and_one_more_would_not(share, channels, generator):
    shape = Shape(2, 4, 2, 9, 6, 3)
    gates = CoarseFine(shape, channels=channels)
    with torch.no_grad():
        for a in gates.log_alpha.values():
            a.copy_(torch.randn(a.shape, generator=generator))
    masks = gates.to_size(share)
    assert weights_of(shape, **masks) <= share * shape.full
    if share == 1:
        assert all((mask == 1).all() for mask in masks.values())
        return
    p = gates._products(gates._open())
    out = {name: p[name].where(masks[name] == 0, -1) for name in p}
    best = max(out, key=lambda name: out[name].max().item())
    masks[best].view(-1)[out[best].argmax()] = 1
    assert weights_of(shape, **masks) > share * shape.full


@pytest.mark.parametrize("start", [-2.0, 5.0])
@pytest.mark.parametrize("channels", [False, True])
def test_lambda_reaches_the_target_from_both_sides(start, channels):
    """Neurons of unlike worth: the size is met, and the worthless ones are gone."""
    shape = Shape(1, 1, 1, 40, 6, 1) if channels else Shape(1, 1, 1, 40, 1, 1)
    gates = CoarseFine(shape, start=start, channels=channels)
    worth = torch.linspace(0.0, 0.05, 40)
    optimizer = torch.optim.Adam(gates.log_alpha.values(), lr=0.1)
    force = Lagrangian(0.5, rate=0.1)
    for _ in range(500):
        share = gates.expected_share()
        p = gates.gate.open_probability(gates.log_alpha["neurons"])
        loss = (worth * (1 - p)).sum() + force.penalty(share)
        if channels:  # of which none may go
            p = gates.gate.open_probability(gates.log_alpha["channels"])
            loss = loss + (1 - p).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        force.ascend(share.item())
    assert gates.expected_share().item() == pytest.approx(0.5, abs=0.03)
    kept = gates.to_size(0.5)["neurons"][0]
    assert kept[-15:].all() and not kept[:15].any()


def test_the_gap_has_a_sign():
    force = Lagrangian(0.5, rate=1.0)
    force.ascend(0.25)
    assert force.first == -0.25 and force.second == 0.0625
    share = torch.tensor(0.25, requires_grad=True)
    force.penalty(share).backward()
    assert share.grad < 0, "too small a model must be pulled to grow"
    force.ascend(0.75)
    assert force.first == 0 and force.second == 0.125


def test_refusals():
    with pytest.raises(ValueError, match="whole groups"):
        Shape(1, 5, 2, 3, 4, 4)
    with pytest.raises(ValueError, match="masks of shapes"):
        expected_weights(
            SMALL,
            attention=torch.ones(2),
            feed=torch.ones(2),
            heads=torch.ones(2, 4),
            neurons=torch.ones(2, 3),
        )
    with pytest.raises(ValueError, match=r"a mask of shape \(4,\)"):
        weights_of(
            SMALL,
            heads=torch.ones(1, 4),
            neurons=torch.ones(1, 3),
            channels=torch.ones(4),
        )
    for target, rate in ((0.0, 1.0), (1.0, 1.0), (0.5, 0.0)):
        with pytest.raises(ValueError, match="target="):
            Lagrangian(target, rate=rate)
    with pytest.raises(ValueError, match="share=0"):
        CoarseFine(SMALL).to_size(0.0)
