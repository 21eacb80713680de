"""Teachers are distributions: they sum to one, are never worse than their mean."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lib.distill.instruct.overlap import filtered, rouge_l, words
from lib.distill.losses import Objective, distillation_loss
from lib.distill.teachers.averaged import (
    average,
    codistillation_loss,
    dropout_teacher,
    ensemble,
)


def drawn(*shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=draw, dtype=torch.float64)


def text_of(length, letters, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(letters, (length,), generator=draw)


def test_probabilities_are_averaged_and_not_logits():
    logits = [drawn(5, 7, seed=s) for s in range(3)]
    want = torch.stack([z.softmax(-1) for z in logits]).mean(0)
    assert torch.allclose(average(logits).exp(), want)
    assert not torch.allclose(torch.stack(logits).mean(0).softmax(-1), want, atol=0.01)


@pytest.mark.parametrize("seed", range(20))
def test_an_average_is_never_worse_than_the_mean(seed):
    logits = [3 * drawn(8, 5, seed=100 * seed + m) for m in range(4)]
    gold = text_of(8, 5, seed=seed)
    apart = sum(cross_entropy(z, gold) for z in logits) / 4
    each = [cross_entropy(z, gold, reduction="none") for z in logits]
    best = torch.stack(each).amin(0).mean()
    joined = cross_entropy(average(logits), gold)
    assert best - 1e-12 <= joined <= apart + 1e-12


def test_an_ensemble_of_one_is_that_one_without_a_gradient():
    model = nn.Linear(3, 5).double()
    out = ensemble([model], drawn(4, 3))
    assert torch.allclose(out, model(drawn(4, 3)).log_softmax(-1))
    assert not out.requires_grad
    with pytest.raises(ValueError, match="0 distributions"):
        ensemble([], drawn(4, 3))


def test_dropout_is_averaged_over_its_masks_and_leaves_the_model_as_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 3)).double().eval()
    x = drawn(1, 2)
    masks = torch.tensor(list(itertools.product((0.0, 2.0), repeat=2))).double()
    exact = model[1](x * masks).softmax(-1).mean(0)
    p = dropout_teacher(model, x, 4000).exp()[0]
    assert not model.training
    assert (p - exact).abs().max() < 5 * 0.5 / 4000**0.5, "5 σ of 4,000 draws"
    with pytest.raises(ValueError, match="0 distributions"):
        dropout_teacher(model, x, 0)


def test_fellows_teach_each_other_without_a_gradient_into_the_teaching_side():
    objective = Objective(kd=0.7, ce=0.3, temperature=2.0)
    pair = [drawn(6, 5, seed=s).requires_grad_(True) for s in (1, 2)]
    gold = text_of(6, 5)
    codistillation_loss(pair, gold, objective).backward()
    for own, other in (pair, pair[::-1]):
        alone = own.detach().clone().requires_grad_(True)
        distillation_loss(alone, other.detach(), gold, objective).backward()
        assert torch.allclose(own.grad, alone.grad)
    with pytest.raises(ValueError, match="1 student"):
        codistillation_loss(pair[:1], gold, objective)


def by_recursion(a, b):
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + by_recursion(a[1:], b[1:])
    return max(by_recursion(a[1:], b), by_recursion(a, b[1:]))


def test_rouge_is_the_longest_common_subsequence():
    for seed in range(30):
        a, b = (
            "".join("wxyz"[i] + " " for i in text_of(6, 4, s)) for s in (seed, -seed)
        )
        want = 2 * by_recursion(words(a), words(b)) / 12
        assert rouge_l(a, b) == rouge_l(b, a) == pytest.approx(want)
    assert rouge_l("What is tea?", "what is TEA") == 1 and rouge_l("", "tea") == 0


def test_no_two_of_the_kept_are_alike_and_what_goes_has_a_twin():
    proposed = ["What is tea?", "What is tea now?", "Write a poem on rain.", "Hm?"]
    seeds = ["Write a poem on snow."]
    kept = filtered(proposed, seeds)
    assert kept == ["What is tea?"]
    assert filtered(proposed, seeds, most=1.0) == proposed[:3]
    with pytest.raises(ValueError, match="at most 0"):
        filtered(proposed, seeds, most=0.0)
