"""The smallest go, exactly so many, and stay away while an optimizer works."""

import pytest
import torch

from lib.prune.magnitude import (
    Magnitude,
    Masks,
    cubic,
    global_magnitude,
    kept_blocks,
    kept_globally,
    staircase,
)


def weights(generator, values=9):
    wide = torch.randint(-values, values, (6, 20), generator=generator)
    small = torch.randint(-values, values, (3, 8), generator=generator)
    return {"wide": wide.float(), "small": small / 4}


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_globally_the_smallest_of_all_go_and_of_equals_the_later(sparsity, generator):
    w = weights(generator)
    kept = kept_globally({n: v.abs() for n, v in w.items()}, sparsity)
    flat = torch.cat([v.flatten() for v in w.values()]).abs().tolist()
    order = sorted(range(144), key=lambda i: (-flat[i], i))
    expected = set(order[: 144 - int(144 * sparsity)])
    ours = torch.cat([m.flatten() for m in kept.values()]).nonzero().flatten().tolist()
    assert set(ours) == expected


def test_the_method_for_a_model_makes_the_global_masks(generator):
    w = weights(generator)
    masks = kept_globally({n: v.abs() for n, v in w.items()}, 0.6)
    method = global_magnitude(w, 0.6)
    assert not method.calibrated
    for name, v in w.items():
        found = method.at(name).quantize(v, None).dequantize()
        assert torch.equal(found, v * masks[name])
    shares = [float(method.at(name).pattern) for name in w]
    assert shares[1] > 0.9 > 0.6 > shares[0], "the layer of small weights pays"
    with pytest.raises(ValueError, match="no method for head, among 2"):
        method.at("head")


def test_by_row_or_by_layer(generator):
    w = torch.tensor([[1.0, -2, 3, -4], [50, -60, 70, -80]])
    whole = Magnitude(0.5).quantize(w, None).dequantize()
    assert whole.tolist() == [[0, 0, 0, 0], [50, -60, 70, -80]]
    rows = Magnitude(0.5, per_row=True).quantize(w, None).dequantize()
    assert rows.tolist() == [[0, 0, 3, -4], [0, 0, 70, -80]]


def test_blocks_go_whole(generator):
    w = torch.randn(16, 24, generator=generator)
    kept = kept_blocks(w, 0.5, block=4)
    tiles = kept.unflatten(1, (-1, 4)).unflatten(0, (-1, 4))
    assert torch.equal(tiles.any(1).any(2), tiles.all(1).all(2))
    assert tiles.all(1).all(2).sum() == 12
    norms = w.square().unflatten(1, (-1, 4)).unflatten(0, (-1, 4)).sum((1, 3))
    chosen = tiles[:, 0, :, 0]
    assert norms[chosen].min() > norms[~chosen].max()
    with pytest.raises(ValueError, match="block=5 does not divide"):
        kept_blocks(w, 0.5, block=5)


def test_schedules_reach_their_end_and_never_go_back():
    assert [staircase(t, final=0.12) for t in (0, 999, 1000, 2000, 9000)] == [
        *(0.0, 0.0, 0.05, 0.1, 0.12),
    ]
    course = [cubic(t, begin=10, end=50, final=0.8) for t in range(100)]
    assert course[:11] == [0.0] * 11 and course[50:] == [0.8] * 50
    assert sorted(course) == course
    assert course[30] == pytest.approx(0.8 * 7 / 8), "7/8 of it after half of the time"
    first, last = course[11] - course[10], course[50] - course[49]
    assert first > 100 * last, "most goes at the start"


def trained(masks_follow, optimizer_of):
    """Twenty steps of a net whose targets pull at every weight."""
    torch.manual_seed(0)
    w = torch.randn(20, 10).requires_grad_()
    optimizer = optimizer_of([w])
    x, y = torch.randn(50, 10), 3 * torch.randn(50, 20)
    masks = Masks({"w": w})
    for step in range(25):
        if step == 5:
            masks.prune_to(0.5)
            if masks_follow:
                masks.follow(optimizer)
        optimizer.zero_grad()
        (x @ w.T - y).square().mean().backward()
        if step >= 5:
            w.grad[~masks.kept["w"]] = 0  # masked gradients alone do not suffice
        optimizer.step()
    return w.detach(), masks


@pytest.mark.parametrize(
    "optimizer_of",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.Adam(p, lr=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.1),
    ],
)
def test_momentum_revives_what_is_gone_unless_masks_follow(optimizer_of):
    w, masks = trained(False, optimizer_of)
    assert (w[~masks.kept["w"]] != 0).any(), "momentum went on pushing"
    w, masks = trained(True, optimizer_of)
    assert (w[~masks.kept["w"]] == 0).all() and (w[masks.kept["w"]] != 0).all()


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_what_is_gone_stays_gone_though_others_become_zero(scope, generator):
    w = {name: v.clone() for name, v in weights(generator, 50).items()}
    masks = Masks(w, scope=scope)
    before = {name: mask.clone() for name, mask in masks.kept.items()}
    for sparsity in (0.2, 0.4, 0.4, 0.7):
        masks.prune_to(sparsity)
        for name, mask in masks.kept.items():
            assert not (mask & ~before[name]).any()
            before[name] = mask.clone()
            if mask.any():
                w[name][tuple(mask.nonzero()[0])] = 0
    gone = sum(int((~m).sum()) for m in masks.kept.values())
    expected = int(120 * 0.7) + int(24 * 0.7) if scope == "layer" else int(144 * 0.7)
    assert gone == expected and masks.sparsity == pytest.approx(gone / 144)
    with pytest.raises(ValueError, match=r"sparser than 0\.100 already: \d+ dropped"):
        masks.prune_to(0.1)


def test_what_is_refused(generator):
    with pytest.raises(ValueError, match="scope='row'"):
        Masks(weights(generator), scope="row")
    with pytest.raises(ValueError, match="0 layers"):
        kept_globally({}, 0.5)
    with pytest.raises(ValueError, match="every=0"):
        staircase(3, every=0)
    with pytest.raises(ValueError, match="begin=5, end=5"):
        cubic(3, begin=5, end=5, final=0.5)
    with pytest.raises(ValueError, match="damping=-1"):
        Magnitude(0.5, damping=-1.0)
    with pytest.raises(ValueError, match="dtype='int8'"):
        Magnitude(0.5, dtype="int8")
    with pytest.raises(ValueError, match=r"w reaches 1e\+06 in float16"):
        Magnitude(0.5).quantize(torch.full((2, 2), 1e6), None)
