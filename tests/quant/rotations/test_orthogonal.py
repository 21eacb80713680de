"""Random and learned rotations: orthogonal always, Haar's moments, and downhill."""

import pytest
import torch

from lib.quant.rotations.cayley import CayleySGD, cayley, skew
from lib.quant.rotations.orthogonal import (
    random_hadamard,
    random_orthogonal,
    random_signs,
)


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("make", [random_hadamard, random_orthogonal])
@pytest.mark.parametrize("n", [1, 2, 12, 28, 64])
def test_random_rotations_are_orthogonal_and_of_their_seed(make, n):
    q = make(n, draw())
    torch.testing.assert_close(q @ q.T, torch.eye(n).double())
    assert torch.equal(q, make(n, draw()))


def test_signs_are_signs_and_even():
    signs = random_signs(4000, draw())
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    assert signs.mean().abs() < 5 / 4000**0.5, "five deviations"


def test_haar_has_no_favourite_direction():
    """Q and −Q are alike, which LAPACK's U alone is not; and E q_ij² = 1/n."""
    n, count = 3, 3000
    generator = draw(1)
    q = torch.stack([random_orthogonal(n, generator) for _ in range(count)])
    spread = (1 / n / count) ** 0.5
    assert q.mean(0).abs().amax() < 5 * spread
    assert (q.square().mean(0) - 1 / n).abs().amax() < 5 * spread
    assert not (q.diagonal(dim1=1, dim2=2) < 0).float().mean() > 0.6


def test_signs_matter_where_a_row_lines_up_with_hadamards():
    h = random_hadamard(64, draw(2))
    aligned = torch.ones(64).double()
    assert (aligned @ h).abs().amax() < 6, "without signs one coordinate gets all: 8"


def procrustes(seed, n=8, stack=()):
    """f(X) = ½ ‖X A − B‖² with B = T A for a rotation T of determinant 1."""
    target = random_orthogonal(n, draw(seed))
    target[0] *= target.det().sign()
    a = torch.randn(*stack, n, n, generator=draw(seed + 1)).double()
    return a, target @ a


@pytest.mark.parametrize("step", [0.01, 1.0, 50.0])
def test_cayleys_curve_stays_among_the_rotations_for_any_step(step):
    x = torch.stack([random_orthogonal(12, draw(seed)) for seed in range(5)])
    w = torch.randn(5, 12, 12, generator=draw(4)).double()
    moved = cayley(x, w - w.mT, step)
    eye = torch.eye(12).double().expand(5, 12, 12)
    torch.testing.assert_close(moved @ moved.mT, eye)
    torch.testing.assert_close(moved.det(), x.det())


def test_the_direction_is_skew_and_falls_by_its_square():
    a, b = procrustes(5)
    x = random_orthogonal(8, draw(6)).requires_grad_()
    loss = 0.5 * (x @ a - b).square().sum()
    loss.backward()
    w = skew(x.detach(), x.grad)
    torch.testing.assert_close(w, -w.mT)
    step = 1e-6
    moved = cayley(x.detach(), w, step)
    after = 0.5 * (moved @ a - b).square().sum()
    fall = (after - loss.detach()) / step
    torch.testing.assert_close(fall, -w.square().sum(), rtol=1e-4, atol=0)


def test_descent_finds_the_rotation_that_was_hidden_and_never_leaves():
    a, b = procrustes(7)
    x = torch.nn.Parameter(torch.eye(8).double())
    idle = torch.nn.Parameter(torch.eye(2))
    descent = CayleySGD([x, idle])
    losses = []
    for _ in range(300):
        descent.zero_grad()
        loss = 0.5 * (x @ a - b).square().sum()
        loss.backward()
        descent.step(0.02)
        losses.append(loss.item())
        off = (x.detach() @ x.detach().T - torch.eye(8)).abs().amax()
        assert off < 1e-11, f"{off:.2g} away from I"
    assert losses[-1] < 1e-6 * losses[0]
    assert torch.equal(idle.detach(), torch.eye(2)), "it has no gradient"


def test_what_is_not_square_and_rates_that_lead_nowhere_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        CayleySGD([torch.nn.Parameter(torch.ones(2, 3))])
    with pytest.raises(ValueError, match="momentum=1"):
        CayleySGD([torch.nn.Parameter(torch.eye(3))], momentum=1.0)
    with pytest.raises(ValueError, match="rate=0"):
        CayleySGD([torch.nn.Parameter(torch.eye(3))]).step(0.0)
