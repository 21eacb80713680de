"""Refitted columns are least squares, and never worse than columns just cut."""

import pytest
import torch

from lib.prune.structured.refit import refit_columns


def problem(generator):
    """A matrix, correlated inputs, and the columns that stay."""
    mix = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    x = torch.randn(200, 12, generator=generator, dtype=torch.float64) @ mix
    w = torch.randn(5, 12, generator=generator, dtype=torch.float64)
    return w, x, torch.tensor([0, 2, 3, 7, 8, 11])


def test_without_damping_it_is_least_squares(generator):
    w, x, kept = problem(generator)
    fitted = refit_columns(w, kept, x.T @ x, damping=0.0)
    expected = torch.linalg.lstsq(x[:, kept], x @ w.T).solution.T
    torch.testing.assert_close(fitted, expected)


@pytest.mark.parametrize("damping", [0.0, 1e-4, 1e-2])
def test_it_errs_no_more_than_columns_that_were_cut(damping, generator):
    w, x, kept = problem(generator)
    fitted = refit_columns(w, kept, x.T @ x, damping=damping)
    target = x @ w.T
    after = (x[:, kept] @ fitted.T - target).square().sum()
    assert after < (x[:, kept] @ w[:, kept].T - target).square().sum()


@pytest.mark.parametrize("damping", [1e-3, 1.0, 100.0])
def test_toward_the_weights_no_damping_errs_more_than_the_cut(damping, generator):
    w, x, kept = problem(generator)
    settings = {"damping": damping, "toward": "weights"}
    fitted = refit_columns(w, kept, x.T @ x, **settings)
    error, cut = (
        (x[:, kept] @ columns.T - x @ w.T).square().sum()
        for columns in (fitted, w[:, kept])
    )
    assert error < cut, f"{error:.4g}, and the cut alone {cut:.4g}"
    strength = damping * x[:, kept].square().sum(0).mean()
    more = strength.sqrt() * torch.eye(len(kept)).double()
    tokens = torch.cat([x[:, kept], more])
    target = torch.cat([x @ w.T, more @ w[:, kept].T])
    expected = torch.linalg.lstsq(tokens, target).solution.T
    torch.testing.assert_close(fitted, expected)


def test_without_end_it_becomes_what_it_is_pulled_to(generator):
    w, x, kept = problem(generator)
    ends = {"zero": torch.zeros(5, 6).double(), "weights": w[:, kept]}
    for toward, end in ends.items():
        fitted = refit_columns(w, kept, x.T @ x, damping=1e9, toward=toward)
        torch.testing.assert_close(fitted, end, rtol=1e-6, atol=1e-6)


def test_inputs_that_are_copies_lose_nothing(generator):
    w, x, _ = problem(generator)
    x[:, 6:] = x[:, :6]
    kept = torch.arange(6)
    fitted = refit_columns(w, kept, x.T @ x, damping=0.0)
    torch.testing.assert_close(x[:, :6] @ fitted.T, x @ w.T)


def test_all_columns_are_what_they_were(generator):
    w, x, _ = problem(generator)
    same = refit_columns(w, torch.arange(12), x.T @ x, damping=0.0)
    torch.testing.assert_close(same, w)


def test_refusals(generator):
    w, x, kept = problem(generator)
    with pytest.raises(ValueError, match="w has 12 columns, H is \\(6, 6\\)"):
        refit_columns(w, kept, x[:, :6].T @ x[:, :6])
    with pytest.raises(ValueError, match="toward='cut'"):
        refit_columns(w, kept, x.T @ x, toward="cut")
    with pytest.raises(ValueError, match="singular"):
        refit_columns(w, kept, torch.zeros(12, 12), damping=0.0)
