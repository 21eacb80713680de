"""A homework's fine-tuning: right gradients let the loss fall, none leave it there."""

import pytest
import torch

from lib.exercises.tuning import tuned_with
from lib.quant.codebooks.double import DoubleScales
from lib.quant.codebooks.normal_float import FourBit
from lib.train.lora import low_rank, low_rank_gradients
from lib.train.qlora import double_dequant


def weight(frozen):
    shape = torch.Size(frozen["shape"])
    scales = DoubleScales(frozen["c2"], frozen["c1"], frozen["mean"], frozen["nested"])
    held = FourBit(
        frozen["packed"], scales, "nf4", frozen["block"], shape, torch.float32
    )
    return double_dequant(frozen["c1"], scales, held)


def forward(x, frozen, a, b, alpha):
    return x @ weight(frozen).T + low_rank(x, a, b, alpha / len(a))


def backward(g, x, frozen, a, b, alpha):
    by_x, by_a, by_b = low_rank_gradients(x, a, b, alpha / len(a), g)
    return by_x + g @ weight(frozen), by_a, by_b


def silent(g, x, frozen, a, b, alpha):
    return g @ weight(frozen), torch.zeros_like(a), torch.zeros_like(b)


def upside_down(*given):
    return tuple(-made for made in backward(*given))


def test_right_gradients_reach_the_target_of_the_homework():
    before, after = tuned_with(forward, backward)
    assert before - after > 0.12, f"{before:.3f} to {after:.3f}; the target asks 0.08"


def test_without_gradients_nothing_changes():
    before, after = tuned_with(forward, silent, steps=1)
    assert before == after


def test_a_step_upwards_makes_it_worse():
    before, after = tuned_with(forward, upside_down, steps=4)
    assert after > before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda x, *_: x[:, :1], "y is"),
        (lambda x, f, a, b, s: x.new_full((len(x), len(b)), torch.nan), "not finite"),
        (lambda *_: None, "NoneType"),
    ],
)
def test_an_answer_of_another_form_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        tuned_with(wrong, backward, steps=1)


def test_a_gradient_of_another_shape_is_refused():
    def turned(*given):
        by_x, by_a, by_b = backward(*given)
        return by_x, by_a.T, by_b

    with pytest.raises(ValueError, match="gradient of A"):
        tuned_with(forward, turned, steps=1)
