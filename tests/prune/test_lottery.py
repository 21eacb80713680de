"""Tickets are masks of trained weights; controls change one thing each."""

import pytest
import torch

from lib.prune.lottery import iterative_ticket, rewound, shuffled, ticket


@pytest.fixture
def net(generator):
    return {
        "a": torch.randn(6, 10, generator=generator),
        "b": torch.randn(4, 6, generator=generator),
        "head": torch.randn(3, 4, generator=generator),
    }


def test_a_ticket_keeps_the_largest_trained_weights(net, generator):
    start = {name: torch.randn(w.shape, generator=generator) for name, w in net.items()}
    kept = ticket(net, 0.8, ["a", "b"])
    assert {n: int(m.sum()) for n, m in kept.items()} == {"a": 12, "b": 5}
    for name, mask in kept.items():
        assert net[name].abs()[mask].min() > net[name].abs()[~mask].max()
    again = rewound(start, kept)
    assert torch.equal(again["a"], start["a"] * kept["a"])
    assert torch.equal(again["head"], start["head"])
    again["head"][0, 0] = 100
    assert start["head"][0, 0] != 100, "the start is copied"


def test_a_shuffled_mask_has_the_same_size_elsewhere(net):
    kept = ticket(net, 0.5, ["a", "b"])
    other = shuffled(kept, torch.Generator().manual_seed(0))
    for name, mask in kept.items():
        assert other[name].sum() == mask.sum() and not torch.equal(other[name], mask)
    again = shuffled(kept, torch.Generator().manual_seed(0))
    assert all(torch.equal(again[n], other[n]) for n in kept)


def test_rounds_prune_what_is_left_of_rewound_weights(net):
    seen, before = [], {name: torch.ones_like(w).bool() for name, w in net.items()}

    def train(weights, kept):
        for name, mask in kept.items():
            assert torch.equal(weights[name], net[name] * mask), "it is rewound"
            assert not (mask & ~before[name]).any(), "what is gone stays gone"
            before[name] = mask
        seen.append(sum(int(m.sum()) for m in kept.values()))
        trained = {name: w.clone() for name, w in weights.items()}
        trained["a"] = trained["a"].flip(1) * kept["a"]  # the order changes each round
        trained["b"][:] = 0  # and what is kept ties with what is gone
        return trained

    kept = iterative_ticket(net, train, ["a", "b"], final=0.875, rounds=3)
    assert seen == [84, 42, 21], "half of what is left goes, three times"
    assert {n: int(m.sum()) for n, m in kept.items()} == {"a": 8, "b": 3}
    assert kept["b"].nonzero().tolist() == [[0, 0], [0, 1], [0, 2]]


def test_what_is_refused(net):
    with pytest.raises(ValueError, match=r"no parameters \['c'\]; there are"):
        ticket(net, 0.5, ["c"])
    with pytest.raises(ValueError, match="rounds=0"):
        iterative_ticket(net, lambda w, k: w, ["a"], final=0.5, rounds=0)
