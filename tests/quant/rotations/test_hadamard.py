"""Hadamard matrices: exact products, and a transform that is the matrix."""

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant.rotations.hadamard import (
    hadamard_factors,
    hadamard_matrix,
    hadamard_transform,
    inverse_hadamard_transform,
)

# Sylvester; Paley I of primes (12, 20, 24) and powers (28: 27); II (36; 52: 25); both
SIZES = [1, 2, 4, 8, 12, 20, 24, 28, 36, 52, 144, 240, 344, 576, 1536]


@pytest.mark.parametrize("n", SIZES)
def test_entries_are_signs_and_rows_are_orthogonal_exactly(n):
    h = hadamard_matrix(n)
    assert (h.abs() == 1).all()
    assert torch.equal(h @ h.T, n * torch.eye(n))


@pytest.mark.parametrize("n", SIZES)
def test_the_transform_is_the_matrix_and_its_inverse_the_transpose(n):
    x = torch.randn(3, 2, n, generator=torch.Generator().manual_seed(n)).double()
    h = hadamard_matrix(n).double() / n**0.5
    torch.testing.assert_close(hadamard_transform(x), x @ h.T)
    torch.testing.assert_close(inverse_hadamard_transform(x), x @ h)


def test_paleys_matrix_is_not_its_own_inverse():
    h = hadamard_matrix(12)
    assert not torch.equal(h, h.T)
    assert torch.equal(hadamard_matrix(64), hadamard_matrix(64).T)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_single_outlier_spreads_evenly_and_comes_back(dtype):
    x = torch.zeros(576, dtype=dtype)
    x[7] = 48.0
    y = hadamard_transform(x)
    assert y.dtype == dtype
    assert (y.abs() == 2.0).all(), "48 / √576 is 2, which every dtype holds"
    assert torch.equal(inverse_hadamard_transform(y), x)


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 60000))
def test_factors_multiply_to_n_or_the_error_names_sizes_that_have_some(n):
    try:
        factors = hadamard_factors(n)
    except ValueError as error:
        assert n > 2, "1 and 2 have one"
        near = str(error).split("[")[1].rstrip("]").split(", ")
        assert all(hadamard_factors(int(size)) for size in near)
    else:
        assert prod(factors) == n
        assert n < 4 or n % 4 == 0, "no other size has a Hadamard matrix"


@pytest.mark.parametrize(
    ("n", "factors"),
    [
        (576, (12, 12, 2, 2)),
        (4096, (2,) * 12),
        (11008, (344, 2, 2, 2, 2, 2)),
        (14336, (28, 2, 2, 2, 2, 2, 2, 2, 2, 2)),
        (1536, (12, 2, 2, 2, 2, 2, 2, 2)),
    ],
)
def test_sizes_of_real_models_have_small_factors(n, factors):
    assert hadamard_factors(n) == factors


@pytest.mark.parametrize(("n", "near"), [(9, "8, 12"), (92, "88, 96"), (0, "1, 2")])
def test_a_size_without_one_is_refused_with_sizes_that_have_one(n, near):
    with pytest.raises(ValueError, match=rf"n={n} .*\[{near}\]"):
        hadamard_matrix(n)
