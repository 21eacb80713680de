"""Selection without a sort keeps exactly what a stable sort would, ties and all."""

from fractions import Fraction

import pytest
import torch

from lib.prune.masks import check_pattern, kept_best, kept_by, kept_count


@pytest.mark.parametrize("k", [0, 1, 7, 60, 119, 120])
@pytest.mark.parametrize("values", [2, 5, 10_000])
def test_the_k_best_are_those_of_a_stable_sort(k, values, generator):
    score = torch.randint(values, (8, 15), generator=generator).float()
    order = score.flatten().sort(descending=True, stable=True).indices[:k]
    expected = torch.zeros(120, dtype=torch.bool)
    expected[order] = True
    assert torch.equal(kept_best(score, k), expected.view(8, 15))


def test_infinity_is_kept_first_and_equal_to_itself():
    score = torch.tensor([1.0, torch.inf, 0, torch.inf, -torch.inf])
    assert kept_best(score, 1).int().tolist() == [0, 1, 0, 0, 0]
    assert kept_best(score, 3).int().tolist() == [1, 1, 0, 1, 0]


def test_a_fraction_is_exact_where_a_double_is_not():
    assert kept_count(100, 0.29) == 72, "0.29 · 100 is below 29 in doubles"
    assert kept_count(100, Fraction(29, 100)) == 71


def test_a_pattern_is_of_a_row_of_the_matrix_or_of_a_run():
    score = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    whole = kept_by(score, 0.5, per_row=False)
    assert whole.int().tolist() == [[0, 0, 0, 0], [1, 1, 1, 1]]
    assert kept_by(score, 0.5, per_row=True).int().tolist() == [[0, 0, 1, 1]] * 2
    assert kept_by(score, (1, 2), per_row=False).int().tolist() == [[0, 1, 0, 1]] * 2


def test_what_is_refused():
    with pytest.raises(ValueError, match="k=3 of 2"):
        kept_best(torch.ones(2), 3)
    with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
        kept_best(torch.tensor([1, torch.nan]), 1)
    for pattern, said in (((4, 4), "n=4 of m=4"), ((0, 4), "n=0"), (1.5, "1.5 is not")):
        with pytest.raises(ValueError, match=said):
            check_pattern(pattern)
