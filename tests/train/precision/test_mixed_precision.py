"""Loss scaling follows torch.amp step for step; weights in few bits keep their mean."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import clip_grad_norm_

from lib.formats import BF16, FP16, round_to
from lib.train.precision.mixed_precision import (
    FLOOR,
    LossScale,
    Masters,
    binades,
    lost,
    round_after,
    step,
)


def quadratic(w, factor):
    """A loss whose gradient is `factor` times w's."""
    return 0.5 * factor * (w * w).sum()


@pytest.mark.parametrize("clip", [None, 0.1])
def test_steps_are_those_of_torchs_scaler(clip):
    """Weights, moments and S, with overflows and growth on the way."""
    draw = torch.Generator().manual_seed(0)
    ours = torch.randn(7, generator=draw).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    mine, other = (torch.optim.Adam([w], lr=0.01) for w in (ours, theirs))
    scaler = torch.amp.GradScaler(
        "cpu", init_scale=2.0**14, growth_interval=3, backoff_factor=0.25
    )
    state = LossScale(2.0**14, interval=3, backoff=0.25)
    masters, scales = Masters([ours]), []
    factors = [1, 1, 1, 1, 1e35, 1, 1, 1, 1, 1e36, 1e36, 2, 1, 1, 1, 1, 1, 1]
    for factor in factors:
        state = step(quadratic(ours, factor), masters, mine, state, clip=clip)
        scaler.scale(quadratic(theirs, factor)).backward()
        scaler.unscale_(other)
        if clip is not None:
            clip_grad_norm_([theirs], clip)
        scaler.step(other)
        scaler.update()
        other.zero_grad()
        assert torch.equal(ours, theirs)
        assert state.scale == scaler.get_scale()
        assert state.clean == scaler._get_growth_tracker()
        scales.append(state.scale)
    assert max(scales) > 2.0**14 > min(scales), "it grew, and it backed off"
    for name, value in mine.state[ours].items():
        assert torch.equal(value, other.state[theirs][name])


@given(st.integers(-20, 20), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_a_power_of_two_changes_no_gradient_that_survives(power, seed):
    w = torch.randn(5, generator=torch.Generator().manual_seed(seed))
    plain, moved = (w.clone().requires_grad_() for _ in range(2))
    (plain**3).sum().backward()
    masters = Masters([moved])
    ((moved**3).sum() * 2.0**power).backward()
    assert masters.collect(2.0**power)
    assert torch.equal(moved.grad, plain.grad)


def test_another_factor_does_change_some():
    w = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    gradients = []
    for scale in (1.0, 3.0):
        w = w.detach().requires_grad_()
        ((w**3).sum() * scale).backward()
        Masters([w]).collect(scale)
        gradients.append(w.grad)
    assert not torch.equal(*gradients)


def test_small_gradients_live_by_the_scale_alone():
    """g = 1e-9 · w: nothing of it is left in fp16, unless the loss is multiplied."""
    ends = []
    for scale in (1.0, 2.0**14):
        low = torch.ones(4, dtype=torch.float16, requires_grad=True)
        masters = Masters([low])
        optimizer = torch.optim.SGD(masters.weights, lr=1e6)
        state = LossScale(scale, interval=None)
        for _ in range(10):
            step(1e-9 * low.sum(), masters, optimizer, state)
        ends.append(masters.weights[0][0].item())
    assert ends[0] == 1.0
    assert ends[1] == pytest.approx(0.99, abs=1e-5)


def test_masters_take_steps_that_sixteen_bits_do_not():
    low = torch.ones(1, dtype=torch.bfloat16, requires_grad=True)
    masters = Masters([low])
    optimizer = torch.optim.SGD(masters.weights, lr=1e-4)
    for _ in range(100):
        step(low.sum(), masters, optimizer, LossScale(1.0, interval=None))
    assert masters.weights[0].item() == pytest.approx(0.99, abs=1e-5)
    assert low.item() == masters.weights[0].bfloat16().item() == 0.98828125
    alone = torch.ones(1, dtype=torch.bfloat16, requires_grad=True)
    optimizer = torch.optim.SGD([alone], lr=1e-4)
    for _ in range(100):
        alone.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert alone.item() == 1.0, "each step is less than half a gap"


def test_a_skipped_step_leaves_no_trace():
    w = torch.ones(3, requires_grad=True)
    masters, state = Masters([w]), LossScale(2.0, interval=2, clean=1)
    optimizer = torch.optim.Adam(masters.weights)
    after = step(
        (w * torch.tensor([1.0, math.inf, 1.0])).sum(), masters, optimizer, state
    )
    assert torch.equal(w, torch.ones(3)) and not optimizer.state
    assert after == LossScale(1.0, interval=2, clean=0)
    assert w.grad is None, "and no gradient for the next one"


def test_a_static_scale_stays():
    state = LossScale(8.0, interval=None)
    assert state.after(True) is state and state.after(False) is state


def test_a_scale_does_not_grow_beyond_float32():
    state = LossScale(2.0**127, interval=1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=1)
    w = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    scaler.scale(w.sum() * 0).backward()
    scaler.step(optimizer)
    scaler.update()
    assert state.after(False).scale == 2.0**127 == scaler.get_scale()


def test_weights_rounded_stochastically_move_in_the_mean():
    """4096 copies of a weight, steps of a tenth of the gap: nearest stays for ever."""
    gap, steps = 2.0**-7, 20
    ends = {}
    for rounding in ("nearest", "stochastic"):
        w = torch.ones(4096, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=gap / 10)
        draw = torch.Generator().manual_seed(0)
        handle = round_after(optimizer, BF16, rounding=rounding, generator=draw)
        for _ in range(steps):
            (-w).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        assert torch.equal(round_to(w, BF16), w), "there are no other weights"
        ends[rounding] = w.detach().clone()
        handle.remove()
        (-w).sum().backward()
        optimizer.step()
        assert not torch.equal(round_to(w, BF16), w)
    assert torch.equal(ends["nearest"], torch.ones(4096))
    # The variance of a step is at most gap² / 4: five deviations of the mean of 4096.
    bound = 5 * gap / 2 * math.sqrt(steps / 4096)
    moved = ends["stochastic"].mean().item() - 1
    assert abs(moved - steps * gap / 10) < bound < steps * gap / 10


@pytest.mark.parametrize("scale", [1.0, 2.0**-11, 2.0**6])
def test_what_a_cast_loses_follows_from_the_binades(scale):
    draw = torch.Generator().manual_seed(0)
    g = torch.randn(20_000, generator=draw) * 2.0 ** torch.randint(
        -40, 0, (20_000,), generator=draw
    )
    g[:50] = 0
    counts = binades(g)
    assert sum(counts.values()) == len(g) and counts[FLOOR] == 50
    there = g[g != 0]
    zeros = ((there * scale).half() == 0).float().mean().item()
    assert lost(counts, FP16, scale) == pytest.approx(zeros, abs=1e-7)


def test_binades_are_floors_of_logarithms():
    g = torch.tensor([1.0, -1.99, 2.0, 0.5, 1e-45, 0.0])
    assert binades(g) == {0: 2, 1: 1, -1: 1, -149: 1, FLOOR: 1}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: LossScale(0.0), "0.0"),
        (lambda: LossScale(math.inf), "inf"),
        (lambda: LossScale(growth=1.0), "growth=1.0"),
        (lambda: LossScale(backoff=1.0), "backoff=1.0"),
        (lambda: LossScale(interval=0), "interval=0"),
        (lambda: lost({0: 1}, FP16, 3.0), "3.0"),
        (lambda: binades(torch.tensor([math.nan, 1.0, math.inf])), "2 of"),
    ],
)
def test_what_makes_no_sense_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
