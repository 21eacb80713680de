"""The losses are torch's, GKD's and DistilBERT's; their gradient is T (q − p)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from lib.distill.losses import (
    IGNORED,
    Objective,
    cosine_loss,
    distillation_loss,
    divergence,
    kl_gradient,
    next_tokens,
    overlap,
    triple_loss,
)

TIGHT = 1e-12  # float64, sums of a few dozen terms of size 1
T = (0.5, 1.0, 2.0, 4.0)


@pytest.fixture
def logits(generator):
    def draw(*shape, scale=3.0):
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    return draw


@pytest.mark.parametrize("temperature", T)
def test_both_directions_are_torchs_kl_div(logits, temperature):
    s, t = logits(5, 7, 11), logits(5, 7, 11)
    q, p = (F.log_softmax(z / temperature, -1) for z in (s, t))
    for beta, other in ((0.0, (q, p)), (1.0, (p, q))):
        expected = F.kl_div(*other, reduction="none", log_target=True).sum(-1)
        found = divergence(s, t, temperature=temperature, beta=beta)
        assert (found - expected).abs().max() < TIGHT


def gkd(student, teacher, labels, beta, temperature):
    """TRL's `generalized_jsd_loss`, written anew from its definition.

    trl/experimental/gkd/gkd_trainer.py: F.kl_div(input, target) is KL(target ‖ input),
    the mixture has β of the teacher, and the mean is over labels other than −100.
    """
    q, p = (F.log_softmax(z / temperature, -1) for z in (student, teacher))
    weight = torch.tensor(beta, dtype=q.dtype)
    m = torch.logsumexp(torch.stack([q + torch.log1p(-weight), p + weight.log()]), 0)
    of_p, of_q = (F.kl_div(m, z, reduction="none", log_target=True) for z in (p, q))
    jsd = (beta * of_p + (1 - beta) * of_q)[labels != -100]
    return jsd.sum() / (labels != -100).sum()


@pytest.mark.parametrize("beta", (0.1, 0.5, 0.9))
def test_a_mixture_is_trls_gkd_loss_but_for_the_square_of_t(logits, beta):
    s, t = logits(3, 8, 11), logits(3, 8, 11)
    labels = torch.randint(0, 11, (3, 8))
    labels[0, :3] = IGNORED
    for temperature in T:
        objective = Objective(temperature=temperature, beta=beta)
        found = distillation_loss(s, t, labels, objective) / temperature**2
        assert abs(found - gkd(s, t, labels, beta, temperature)) < TIGHT


def test_the_mixture_tends_to_kl_at_both_ends(logits):
    s, t = logits(20, 9, scale=1.0), logits(20, 9, scale=1.0)
    tiny = 1e-7  # D_β / β → KL(p ‖ q) as β → 0, up to a term of order β
    near = divergence(s, t, beta=tiny) / tiny
    assert torch.allclose(near, divergence(s, t, beta=0.0), rtol=1e-4)
    near = divergence(s, t, beta=1 - tiny) / tiny
    assert torch.allclose(near, divergence(s, t, beta=1.0), rtol=1e-4)


def test_a_mixture_is_bounded_and_symmetric_at_a_half(logits):
    s, t = logits(50, 6, scale=20), logits(50, 6, scale=20)
    d = divergence(s, t, beta=0.5)
    assert torch.allclose(d, divergence(t, s, beta=0.5))
    assert (d >= -TIGHT).all() and d.max() <= math.log(2) + TIGHT


def test_the_decks_numbers():
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.5, 0.3, 0.2])
    assert divergence(q.log(), p.log()).item() == pytest.approx(0.0851, abs=5e-5)
    assert divergence(p.log(), q.log()).item() == pytest.approx(0.0920, abs=5e-5)


@pytest.mark.parametrize("temperature", T)
def test_the_gradient_in_closed_form(logits, temperature):
    s, t = logits(4, 11).requires_grad_(), logits(4, 11)
    loss = temperature**2 * divergence(s, t, temperature=temperature).sum()
    (found,) = torch.autograd.grad(loss, s)
    assert (found - kl_gradient(s, t, temperature=temperature)).abs().max() < TIGHT


def test_t_squared_keeps_the_gradient_of_one_size(logits):
    s, t = logits(4, 11, scale=1.0), logits(4, 11, scale=1.0)
    centred = (s - s.mean(-1, keepdim=True)) - (t - t.mean(-1, keepdim=True))
    hot = kl_gradient(s, t, temperature=1e4)  # an error of order 1 / T is left
    assert torch.allclose(hot, centred / 11, atol=1e-3)


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.3, 8), st.floats(0, 1))
def test_no_divergence_is_negative_and_none_is_zero_elsewhere(seed, temperature, beta):
    draw = torch.Generator().manual_seed(seed)
    s, t = torch.randn(2, 9, generator=draw, dtype=torch.float64)
    how = {"temperature": temperature, "beta": beta}
    assert divergence(s, t, **how) >= -TIGHT
    assert divergence(t + 5, t, **how).abs() < TIGHT, "logits count up to a constant"


def test_no_gradient_reaches_the_teacher(logits):
    s, t = logits(2, 5, 7).requires_grad_(), logits(2, 5, 7).requires_grad_()
    h, g = logits(2, 5, 3).requires_grad_(), logits(2, 5, 3).requires_grad_()
    objective = Objective(kd=1.0, ce=1.0, cos=1.0)
    triple_loss((s, h), (t, g), torch.ones(2, 5).long(), objective).backward()
    assert s.grad.abs().sum() > 0 and h.grad.abs().sum() > 0
    assert t.grad is None and g.grad is None


def test_labels_are_the_tokens_behind_and_padding_has_none():
    tokens = torch.tensor([[5, 6, 7, 0], [8, 9, 4, 3]])
    counts = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    none = IGNORED
    expected = torch.tensor([[6, 7, none, none], [9, 4, 3, none]])
    assert torch.equal(next_tokens(tokens, counts), expected)


def test_padding_changes_neither_loss_nor_gradient(logits):
    s, t = logits(2, 6, 7), logits(2, 6, 7)
    labels = torch.randint(0, 7, (2, 6))
    labels[:, 4:] = IGNORED
    objective, found = Objective(ce=0.5, temperature=2.0), []
    for behind in (s[:, 4:], 100 * s[:, 4:]):
        whole = torch.cat((s[:, :4], behind), 1).requires_grad_()
        loss = distillation_loss(whole, t, labels, objective)
        loss.backward()
        assert not whole.grad[:, 4:].any()
        found.append((loss.detach(), whole.grad[:, :4]))
    assert torch.equal(found[0][0], found[1][0])
    short = s[:, :4].clone().requires_grad_()
    loss = distillation_loss(short, t[:, :4], labels[:, :4], objective)
    loss.backward()
    assert torch.allclose(loss.detach(), found[0][0])
    assert torch.allclose(short.grad, found[0][1])


def test_it_is_distilberts_triple_loss(logits):
    s, t, h, g = logits(3, 6, 9), logits(3, 6, 9), logits(3, 6, 5), logits(3, 6, 5)
    labels = torch.randint(0, 9, (3, 6))
    labels[1, 2:] = IGNORED
    counts = labels != IGNORED
    kd, ce, cos, temperature = 5.0, 2.0, 1.0, 2.0  # distiller.py's, λ and T
    q = F.log_softmax(s[counts] / temperature, -1)
    p = F.softmax(t[counts] / temperature, -1)
    expected = (
        kd * temperature**2 * F.kl_div(q, p, reduction="batchmean")
        + ce * F.cross_entropy(s.flatten(0, 1), labels.flatten(), ignore_index=-100)
        + cos
        * F.cosine_embedding_loss(h[counts], g[counts], torch.ones(int(counts.sum())))
    )
    found = triple_loss((s, h), (t, g), labels, Objective(kd, ce, cos, temperature))
    assert abs(found - expected) < 1e-10
    assert cosine_loss(3 * h, h, labels).abs() < TIGHT, "a direction has no length"


def test_overlap_is_one_minus_the_total_variation(logits):
    s, t = logits(30, 8), logits(30, 8)
    variation = (s.softmax(-1) - t.softmax(-1)).abs().sum(-1) / 2
    assert (overlap(s, t) - (1 - variation)).abs().max() < TIGHT
    bound = 1 - (divergence(s, t) / 2).sqrt()  # Pinsker's inequality
    assert (overlap(s, t) >= bound - TIGHT).all()


@pytest.mark.parametrize("wrong", ({"temperature": 0.0}, {"beta": 1.1}, {"kd": -1.0}))
def test_an_objective_refuses_nonsense(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Objective(**wrong)
    with pytest.raises(ValueError, match="kd=0"):
        Objective(kd=0.0)


def test_nothing_that_counts_is_refused(logits, as_a_user):
    s = logits(1, 2, 3)
    with pytest.raises(ValueError, match="a mean of 0 places"):
        distillation_loss(s, s, torch.full((1, 2), IGNORED), Objective())
    with pytest.raises(ValueError, match=r"student \(1, 2, 3\), teacher"):
        divergence(s, s[..., :2])
