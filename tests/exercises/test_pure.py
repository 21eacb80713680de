"""pure: a call that changes an argument is told; any other is let through."""

import math

import pytest
import torch

from lib.exercises.pure import pure


@pytest.mark.parametrize(
    ("function", "which"),
    [
        (lambda x, ys: x.clamp_(min=0), "first"),
        (lambda x, ys: x.unsqueeze_(0), "first"),
        (lambda x, ys: ys[0].mul_(2), "second"),
        (lambda x, ys: ys.append(x), "second"),
        (lambda x, ys: ys.pop(), "second"),
    ],
)
def test_a_change_in_place_is_told(function, which):
    with pytest.raises(AssertionError, match=f"changes its {which} argument in place"):
        pure(function)(torch.tensor([-1.0, math.nan]), [torch.ones(2)])


def test_an_argument_by_name_is_named():
    def spoil(*, codes):
        codes[0] = 7

    with pytest.raises(AssertionError, match="spoil changes its argument codes"):
        pure(spoil)(codes=torch.zeros(3, dtype=torch.uint8))


def test_the_advice_is_for_what_was_changed():
    for argument, advice in ((torch.ones(2), "clone"), ({"a": [1]}, "deepcopy")):
        spoil = pure(lambda x: x.clear() if isinstance(x, dict) else x.zero_())
        with pytest.raises(AssertionError, match=advice):
            spoil(argument)


def test_what_changes_nothing_returns_its_value():
    x = torch.tensor([1.0, math.nan])
    assert pure(lambda x, n, *, f: f(x.numel() + n))(x, 2, f=lambda n: 10 * n) == 40
