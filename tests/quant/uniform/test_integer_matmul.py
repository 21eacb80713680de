"""The int32 product of int8 matrices is exact, whatever their shapes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant.uniform.integer_matmul import int8_matmul

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZES = st.integers(1, 40) | st.sampled_from([1, 7, 8, 9, 16, 17, 24, 64, 127])


def codes(rows, cols, seed):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(-128, 128, (rows, cols), generator=draw, dtype=torch.int8)


def assert_exact(a, b):
    product = int8_matmul(a.to(DEVICE), b.to(DEVICE)).cpu()
    assert product.dtype == torch.int32
    assert torch.equal(product.long(), a.long() @ b.long())


@settings(max_examples=100)
@given(SIZES, SIZES, SIZES, st.integers(0, 2**31))
def test_it_is_the_product_in_int64(m, k, n, seed):
    assert_exact(codes(m, k, seed), codes(k, n, seed + 1))


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (1, 576, 3), (3, 5, 1)])
def test_single_rows_and_columns(m, k, n):
    assert_exact(codes(m, k, 0), codes(k, n, 1))


def test_weights_may_be_stored_by_rows_of_outputs():
    x, w = codes(5, 33, 2), codes(9, 33, 3)
    assert_exact(x, w.T)
    assert_exact(x[:, ::3], w.T[::3])


def test_the_longest_sums_fit():
    a = torch.full((1, 2**17 - 1), -128, dtype=torch.int8)
    assert_exact(a, a.T)


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.float32])
def test_only_int8_is_multiplied(at, dtype, as_a_user):
    pair = [torch.ones(2, 2, dtype=torch.int8)] * 2
    pair[at] = pair[at].to(dtype)
    with pytest.raises(ValueError, match=f"int8 times int8, not .*{dtype}"):
        int8_matmul(*pair)
