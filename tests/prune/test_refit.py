"""A refit is least squares: numpy finds the same weights, and nothing errs less."""

import pytest
import torch

from lib.prune.magnitude import Magnitude
from lib.prune.refit import refit
from lib.quant.hessian import Hessian


@pytest.fixture
def layer(generator):
    mix = torch.randn(20, 20, generator=generator, dtype=torch.float64)
    x = torch.randn(300, 20, generator=generator, dtype=torch.float64) @ mix
    w = torch.randn(5, 20, generator=generator, dtype=torch.float64)
    kept = torch.rand(5, 20, generator=generator) < 0.5
    return w, x, kept


def test_it_is_least_squares_of_the_outputs(layer):
    w, x, kept = layer
    fitted = refit(w, kept, 2 / 300 * x.T @ x, damping=0.0)
    assert (fitted[~kept] == 0).all()
    for row, mask, ours in zip(w, kept, fitted, strict=True):
        theirs = torch.linalg.lstsq(x[:, mask], (x @ row)[:, None]).solution[:, 0]
        assert torch.allclose(ours[mask], theirs, rtol=1e-9, atol=1e-9)


def test_no_neighbour_errs_less(layer, generator):
    w, x, kept = layer
    fitted = refit(w, kept, 2 / 300 * x.T @ x, damping=0.0)
    least = (x @ (w - fitted).T).square().sum()
    for size in (1e-4, 1e-2, 1.0):
        moved = fitted + size * torch.randn(5, 20, generator=generator) * kept
        assert (x @ (w - moved).T).square().sum() > least


def test_what_keeps_all_is_left_and_what_keeps_nothing_is_zero(layer):
    w, x, _ = layer
    h = 2 / 300 * x.T @ x
    whole, none = torch.ones_like(w).bool(), torch.zeros_like(w).bool()
    assert torch.allclose(refit(w, whole, h), w, atol=1e-12)
    assert (refit(w, none, h) == 0).all()


def test_a_method_refits_what_it_keeps(layer):
    w, x, _ = layer
    inputs = Hessian(20)
    inputs.add(x)
    plain, fitted = Magnitude(0.5), Magnitude(0.5, refit=True, dtype="float64")
    assert fitted.calibrated and not plain.calibrated
    ours = fitted.quantize(w, inputs).dequantize()
    expected = refit(w, plain.kept(w, None), inputs.matrix)
    assert torch.equal(ours, expected)


@pytest.mark.usefixtures("as_a_user")
def test_what_is_refused(layer):
    w, _, kept = layer
    with pytest.raises(ValueError, match=r"H \(19, 19\)"):
        refit(w, kept, torch.eye(19).double())
    singular = torch.ones(20, 20, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"row 0: H of its \d+ kept columns is not"):
        refit(w, kept, singular, damping=0.0)
