"""Wanda's score is what dropping a weight does; a mask has the asked size."""

import pytest
import torch

from lib.prune import column_norms, kept_n_of_m, kept_per_row, wanda_score


def test_a_score_is_how_far_the_output_moves(generator):
    x = torch.randn(50, 6, generator=generator)
    w = torch.randn(4, 6, generator=generator)
    score = wanda_score(w, column_norms(x))
    for i in range(4):
        for j in range(6):
            without = w.clone()
            without[i, j] = 0
            moved = (x @ w.T - x @ without.T).norm()
            assert torch.isclose(moved, score[i, j], rtol=1e-4)


def test_rows_are_compared_with_themselves_only():
    score = torch.tensor([[1.0, 2, 3, 4], [50, 60, 70, 80]])
    expected = torch.tensor([[False, False, True, True]] * 2)
    assert torch.equal(kept_per_row(score, 0.5), expected)


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.99, 1.0])
def test_every_row_loses_the_worst_of_the_asked_share_even_of_equals(
    sparsity, generator
):
    score = torch.randint(0, 3, (5, 70), generator=generator).float()
    kept = kept_per_row(score, sparsity)
    assert (~kept).sum(1).tolist() == [int(70 * sparsity)] * 5
    for row, keep in zip(score.tolist(), kept.tolist(), strict=True):
        order = sorted(range(70), key=lambda j: (-row[j], j))  # lower columns first
        best = set(order[: sum(keep)])
        assert {j for j in range(70) if keep[j]} == best


@pytest.mark.parametrize(("n", "m"), [(1, 2), (2, 4), (4, 8), (3, 5)])
def test_each_run_of_neighbours_keeps_its_n_best(n, m, generator):
    score = torch.rand(3, 40, generator=generator)
    kept = kept_n_of_m(score, n, m)
    assert kept.dtype == torch.bool and kept.shape == score.shape
    runs = zip(score.view(-1, m), kept.view(-1, m), strict=True)
    for values, keep in runs:
        assert keep.sum() == n and values[keep].min() > values[~keep].max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_before_it_is_squared(dtype, generator):
    x = 300 * torch.randn(500, 3, generator=generator).to(dtype)
    w = torch.randn(2, 3, generator=generator).to(dtype)
    norm = column_norms(x)
    assert norm.dtype == torch.float32  # in float16 it would be infinite
    assert torch.allclose(norm, x.double().norm(dim=0).float(), rtol=1e-5)
    score = wanda_score(w, norm)
    assert score.dtype == torch.float32
    assert torch.equal(score, (w.double() * norm.double()).abs().float())


def test_of_equals_the_lower_column_is_kept():
    keep = kept_n_of_m(torch.tensor([[1.0, 1, 1, 1, 0, 2, 0, 0]]), 2, 4)
    assert keep.int().tolist() == [[1, 1, 0, 0, 1, 1, 0, 0]]


def test_nan_is_kept_before_infinity():
    score = torch.tensor([[torch.inf, torch.nan, 1, torch.nan]])
    assert kept_n_of_m(score, 2, 4).int().tolist() == [[0, 1, 0, 1]]
    assert kept_per_row(score, 0.25).int().tolist() == [[1, 1, 0, 1]]


def test_what_is_refused():
    score = torch.ones(2, 10)
    with pytest.raises(ValueError, match="m=4 does not divide the 10 columns"):
        kept_n_of_m(score, 2, 4)
    for n in (0, 2, 3):
        with pytest.raises(ValueError, match=f"n={n} of m=2"):
            kept_n_of_m(score, n, 2)
    for sparsity in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=f"sparsity={sparsity}"):
            kept_per_row(score, sparsity)
