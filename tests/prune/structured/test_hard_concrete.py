"""The gate's probabilities are those of its samples, and its zeros are zeros."""

import math

import pytest
import torch

from lib.prune.structured.hard_concrete import HardConcrete

GATE = HardConcrete()
DRAWS = 200_000


def draws(generator, count=DRAWS):
    """Random numbers without both ends."""
    return torch.rand(count, dtype=torch.float64, generator=generator).clamp(
        1e-12, 1 - 1e-12
    )


@pytest.mark.parametrize("gate", [GATE, HardConcrete(0.4, -0.3, 1.2)])
@pytest.mark.parametrize("log_alpha", [-4.0, -2.4, 0.0, 1.5, 5.0])
def test_a_gate_is_open_as_often_as_it_says(gate, log_alpha, generator):
    a = torch.full((DRAWS,), log_alpha, dtype=torch.float64)
    z = gate.sample(a, draws(generator))
    assert ((z >= 0) & (z <= 1)).all()
    p = gate.open_probability(a[:1]).item()
    share = (z > 0).double().mean().item()
    deviation = math.sqrt(p * (1 - p) / DRAWS)
    assert abs(share - p) <= 5 * deviation + 1e-9, f"{share} of {DRAWS}, not {p}"


def test_both_ends_have_mass():
    u = torch.tensor([0.01, 0.5, 0.99], dtype=torch.float64)
    closed, half, opened = GATE.sample(torch.zeros(3, dtype=torch.float64), u)
    assert closed == 0 and opened == 1 and half.item() == pytest.approx(0.5)


def test_where_the_gate_closes_at_test_time_it_is_still_often_open_in_training():
    closes = torch.tensor([GATE.closes_at - 1e-6, GATE.closes_at + 1e-6])
    assert GATE.at_test(closes.double())[0] == 0 < GATE.at_test(closes.double())[1]
    assert GATE.closes_at == pytest.approx(-2.3979, abs=1e-4)
    p = GATE.open_probability(torch.tensor(GATE.closes_at))
    assert p.item() == pytest.approx(0.310, abs=1e-3)


def test_gradients_are_those_of_finite_differences(generator):
    a = torch.linspace(-1, 1, 9, dtype=torch.float64).requires_grad_()
    u = draws(generator, 9) * 0.4 + 0.3  # inside: no gate is cut
    for of in (lambda a: GATE.sample(a, u), GATE.open_probability, GATE.at_test):
        assert torch.autograd.gradcheck(of, a)


def test_refusals():
    for wrong in ({"beta": 0.0}, {"gamma": 0.0}, {"zeta": 1.0}):
        with pytest.raises(ValueError, match="a gate needs"):
            HardConcrete(**wrong)
    with pytest.raises(ValueError, match="between 0 and 1"):
        GATE.sample(torch.zeros(1), torch.zeros(1))


def test_only_the_inputs_that_matter_stay(generator):
    """Ten of forty inputs make y: gates on a linear model find just these."""
    x = torch.randn(400, 40, generator=generator)
    truth = torch.zeros(40)
    truth[::4] = torch.tensor([1.0, -1.0] * 5)
    y = x @ truth
    w = torch.zeros(40, requires_grad=True)
    log_alpha = torch.full((40,), 2.0, requires_grad=True)
    optimizer = torch.optim.Adam([w, log_alpha], lr=0.05)
    for _ in range(500):
        u = torch.rand(40, generator=generator).clamp(1e-6, 1 - 1e-6)
        z = GATE.sample(log_alpha, u)
        loss = (x @ (z * w) - y).square().mean()
        loss = loss + 0.02 * GATE.open_probability(log_alpha).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(GATE.at_test(log_alpha) > 0, truth != 0)
