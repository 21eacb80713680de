"""Learned rotations: rounding in a turned frame is a rotated model's, and descends."""

import copy
from functools import partial

import pytest
import torch

from lib.models.rotate.fold import fold_norms, untie_head
from lib.models.rotate.learn import learn_rotations, turned
from lib.models.rotate.online import round_online
from lib.models.rotate.turn import draw_rotations, rotate_down, rotate_model
from lib.quant.aware.tokens import fake_heads, fake_tokens

TOKENS = torch.randint(40, (6, 16), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_rounding_as_if_rotated_is_the_rotated_models_rounding(tiny_llama):
    model = tiny_llama.double()
    drawn = draw_rotations(model, 3)
    rotated = copy.deepcopy(model)
    rotate_model(rotated, drawn)
    round_online(rotated, inputs=3, clip=0.8)
    untie_head(model)
    fold_norms(model)
    plain = model(TOKENS).logits
    rotate_down(model)
    rounded = partial(fake_tokens, bits=3, clip=0.8)
    with turned(model, drawn.stream, drawn.heads, rounded):
        inside = model(TOKENS).logits
    torch.testing.assert_close(inside, rotated(TOKENS).logits)
    torch.testing.assert_close(model(TOKENS).logits, plain), "the hooks are gone"
    assert (inside - plain).abs().amax() > 1e-3


def test_learning_lowers_the_loss_keeps_the_model_and_stays_orthogonal(small_llama):
    tiny_llama = small_llama(tie_word_embeddings=True, num_hidden_layers=1)
    with torch.no_grad():  # an untrained model says little: let its logits speak
        tiny_llama.model.norm.weight *= 20
    before = copy.deepcopy(tiny_llama.state_dict())
    start = draw_rotations(tiny_llama)
    settings = {"bits": 2, "steps": 12, "rate": 0.3, "batch": 24}
    learned, losses = learn_rotations(tiny_llama, TOKENS, start, **settings)
    assert sum(losses[-3:]) < sum(losses[:3])
    assert not torch.equal(learned.stream, start.stream.float())
    assert not torch.equal(learned.heads, start.heads.float())
    after = tiny_llama.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert tiny_llama.config.tie_word_embeddings
    again, _ = learn_rotations(tiny_llama, TOKENS, start, **settings)
    assert repr(again) == repr(learned)
    rotate_model(tiny_llama, learned)


def test_nothing_to_learn_from_is_refused(tiny_llama):
    start = draw_rotations(tiny_llama)
    with pytest.raises(ValueError, match="0 windows"):
        learn_rotations(tiny_llama, TOKENS[:0], start)
    with pytest.raises(ValueError, match="bits=1"):
        learn_rotations(tiny_llama, TOKENS, start, bits=1)


@pytest.mark.parametrize("clip", [1.0, 0.7])
def test_tokens_err_by_half_a_step_within_their_clip(clip):
    x = torch.randn(50, 64, generator=torch.Generator().manual_seed(1))
    largest = x.abs().amax(-1, keepdim=True) * clip
    off = (fake_tokens(x, 4, clip) - x.clamp(-largest, largest)).abs()
    assert (off <= largest / 7 / 2 * (1 + 1e-5)).all()


@pytest.mark.parametrize("bits", [2, 4])
def test_heads_take_the_levels_from_their_least_to_their_largest(bits):
    x = torch.rand(2, 3, 5, 64, generator=torch.Generator().manual_seed(2)) - 0.2
    made = fake_heads(x, bits)
    ends = [x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)]
    step = (ends[1] - ends[0]) / (2**bits - 1)
    assert ((made - x).abs() <= step * (1 + 1e-5)).all(), "zero is a level: one step"
    assert made.unique(dim=-1).shape == made.shape or made[0, 0, 0].unique().numel() > 2
    symmetric = fake_tokens(x, bits)
    assert (made - x).square().mean() < (symmetric - x).square().mean()


@pytest.mark.parametrize(("bits", "clip"), [(1, 1.0), (9, 1.0), (4, 0.0), (4, 1.5)])
def test_grids_that_there_are_not_are_refused(bits, clip):
    for fake in (fake_tokens, fake_heads):
        with pytest.raises(ValueError, match=r"(bits|clip)="):
            fake(torch.ones(2, 4), bits, clip)


def test_the_gradient_passes_straight_through():
    x = torch.randn(3, 8, requires_grad=True)
    for fake in (fake_tokens, fake_heads):
        (grad,) = torch.autograd.grad(fake(x, 4, 0.9).sum(), x)
        assert torch.equal(grad, torch.ones_like(x))
