"""agree_or_follow: right passes, so does what follows from an earlier slip, no more."""

import contextlib

import pytest
import torch

from lib.exercises.compare import agree
from lib.exercises.follow import agree_or_follow

RIGHT = torch.tensor([1.0, 2.0])


def unfinished():
    raise NotImplementedError


def unasked():
    pytest.fail("nothing may follow here, so no other function is needed")


@pytest.mark.parametrize("slipped", [False, True])
def test_a_right_answer_asks_nothing_else(slipped):
    agree_or_follow("y", RIGHT, [1.0, 2.0], "", unasked, slipped=slipped)


def test_what_follows_from_one_of_the_earlier_functions_passes():
    made = (unfinished, lambda: RIGHT + 1)
    agree_or_follow("y", RIGHT + 1, RIGHT, "", *made, slipped=True)


@pytest.mark.parametrize(("more", "passes"), [(1e-8, True), (1e-3, False)])
def test_what_follows_may_differ_by_its_own_rounding(more, passes):
    made = torch.tensor([0.0, 2.0])
    expected = contextlib.nullcontext() if passes else pytest.raises(AssertionError)
    with expected:
        agree_or_follow("y", made + more, RIGHT, "", lambda: made, slipped=True)


def test_a_function_that_changes_its_mind_is_not_followed():
    said = iter([2 * RIGHT, RIGHT])  # right in its own test, and then never again
    slips = {1}
    agree("double", next(said), [2.0, 4.0])
    slips.discard(1)
    with pytest.raises(AssertionError, match="it should be 2"):
        agree_or_follow(
            "y", RIGHT, 2 * RIGHT, "", lambda: next(said), slipped=1 in slips
        )


def test_where_the_earlier_test_has_passed_no_other_function_is_asked():
    with pytest.raises(AssertionError, match="it should be 1"):
        agree_or_follow("y", RIGHT + 1, RIGHT, "", unasked, slipped=False)


@pytest.mark.parametrize(
    ("yours", "made"),
    [
        (RIGHT + 1, RIGHT + 2),
        (RIGHT.int() + 1, RIGHT + 1),
        (RIGHT[:1], RIGHT),
        (RIGHT[:0], RIGHT[:0]),
        (RIGHT * torch.nan, RIGHT * torch.nan),
        (None, None),
    ],
)
def test_anything_else_fails(yours, made):
    with pytest.raises(AssertionError, match=r"^y .*Because"):
        agree_or_follow("y", yours, RIGHT, "Because.", lambda: made, slipped=True)


def test_an_unfinished_earlier_function_excuses_nothing():
    with pytest.raises(AssertionError, match="should be 1"):
        agree_or_follow("y", RIGHT + 1, RIGHT, "", unfinished, slipped=True)
