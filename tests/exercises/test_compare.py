"""compare: nothing broadcasts, dtypes are due, and a message shows the difference."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.exercises.compare import agree, apart, close, same

X = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    ("yours", "says"),
    [
        (X[:, :0], r"shape \(2, 0\), and it should be \(2, 3\)"),
        (torch.empty(0, 1), r"shape \(0, 1\)"),
        (X[:1], r"shape \(1, 3\)"),
        (X[None], r"shape \(1, 2, 3\)"),
        (torch.tensor(1.0), r"shape \(\)"),
        (X.tolist(), "list, and no tensor"),
        (X.double(), "of float64, and it should be float32"),
        (X.int(), "of int32, and it should be float32"),
        (torch.full_like(X, math.nan), r"at \[0, 0\] is nan, .* 1 \(6 of 6 differ\)"),
        (X * math.inf, r"at \[0, 0\] is inf"),
        (
            torch.where(X == 5, 7.0, X),
            r"at \[1, 1\] is 7, .* 5 \(1 of 6 .*\)\. Why",
        ),
    ],
)
def test_what_is_not_the_same_is_told_where(yours, says):
    with pytest.raises(AssertionError, match=f"y .*{says}"):
        agree("y", yours, X, "Why.", rtol=0.1)


@pytest.mark.parametrize(
    ("yours", "expected", "dtype"),
    [
        (X, X.tolist(), None),
        (X.double(), X.tolist(), None),
        (X.double(), X, "floating"),
        (X.double(), X, torch.float64),
        (X.to(torch.uint8), [[1, 2, 3], [4, 5, 6]], None),
        (X.to(torch.uint8), X.long(), "integer"),
        (X * 1.0001, X, None),
        (torch.tensor([math.nan, math.inf]), torch.tensor([math.nan, math.inf]), None),
    ],
)
def test_what_is_due_agrees(yours, expected, dtype):
    agree("y", yours, expected, rtol=1e-3, dtype=dtype)


@pytest.mark.parametrize("numbers", [(3.0, math.inf), (math.inf, 3.0), (1.0, math.nan)])
def test_infinity_and_nan_agree_with_themselves_alone(numbers):
    with pytest.raises(AssertionError):
        agree("y", *map(torch.tensor, numbers), rtol=1.0, atol=1.0)


def test_integers_are_exact_beyond_2_to_the_53():
    with pytest.raises(AssertionError, match=f"{2**53 + 1}, and it should be {2**53}"):
        agree("n", torch.tensor(2**53 + 1), torch.tensor(2**53))


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_two_numbers_that_differ_never_look_alike(a, b):
    assert (a == b) or len(set(apart(a, b))) == 2


@pytest.mark.parametrize(
    ("yours", "expected"),
    [
        (2.0, 2),
        (True, 1),
        (None, 0),
        ((1, 2), [1, 2]),
        ([1, 2], [2, 1]),
        ({"ada": 1}, {"ada": 1, "bob": 0}),
        ([math.nan], [1]),
        ([torch.ones(2)], [1]),
        ({"ada": torch.zeros(0)}, {"ada": 0}),
    ],
)
def test_plain_data_is_compared_with_its_type(yours, expected):
    with pytest.raises(AssertionError, match=r"x is .* should be .*Look there"):
        same("x", yours, expected, "Look there.")


@pytest.mark.parametrize("value", [3, "a", (1, [2.5]), {"ada": [0, 1]}, []])
def test_what_is_the_same_passes(value):
    same("x", value, value)


@pytest.mark.parametrize("yours", [2.0, 2, 2.0 * (1 + 1e-10)])
def test_a_number_is_close_in_its_last_digits(yours):
    close("x", yours, 2.0)


@pytest.mark.parametrize(
    ("yours", "says"),
    [
        (2.0 * (1 + 1e-8), r"2\.00000002, and it should be 2\. Why"),
        (math.nan, "nan, and"),
        (math.inf, "inf, and"),
        (True, "bool, and no number"),
        (torch.tensor(2.0), "Tensor, and no number"),
        ("2", "str, and no number"),
    ],
)
def test_what_is_not_close_is_told(yours, says):
    with pytest.raises(AssertionError, match=f"x is {says}"):
        close("x", yours, 2.0, "Why")


def test_infinity_is_close_to_itself_alone():
    close("x", math.inf, math.inf)
    for numbers in [(1e308, math.inf), (math.inf, 1e308), (-math.inf, math.inf)]:
        with pytest.raises(AssertionError):
            close("x", *numbers)
