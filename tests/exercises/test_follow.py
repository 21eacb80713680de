"""agree_or_follow: right passes, so does what follows from an earlier slip, no more."""

import pytest
import torch

from lib.exercises.follow import agree_or_follow

RIGHT = torch.tensor([1.0, 2.0])


def unfinished():
    raise NotImplementedError


def unasked():
    pytest.fail("a right answer needs no other function")


def test_a_right_answer_asks_nothing_else():
    agree_or_follow("y", RIGHT, [1.0, 2.0], "", unasked)


def test_what_follows_from_one_of_the_earlier_functions_passes():
    agree_or_follow("y", RIGHT + 1, RIGHT, "", unfinished, lambda: RIGHT + 1)


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
        agree_or_follow("y", yours, RIGHT, "Because.", lambda: made)


def test_an_unfinished_earlier_function_excuses_nothing():
    with pytest.raises(AssertionError, match="should be 1"):
        agree_or_follow("y", RIGHT + 1, RIGHT, "", unfinished)
