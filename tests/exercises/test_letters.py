"""hw_distillation's target: soft targets bring a student there, gold labels do not."""

import math

import pytest
import torch
from torch.nn.functional import one_hot

from lib.exercises.letters import ALPHABET, bits, lesson, spelled, trigram

V = len(ALPHABET)


def trained(given, targets, decay=0.0):
    """Adam on all places, 200 steps: the least bits seen, and those at the end."""
    weight = torch.zeros(2, V, V, requires_grad=True)
    bias = torch.zeros(V, requires_grad=True)
    steps, seen = torch.optim.Adam([weight, bias], lr=0.1), []
    for step in range(200):
        logits = bias + sum(weight[j, given.contexts[:, j]] for j in range(2))
        loss = -(targets * logits.log_softmax(-1)).sum(-1).mean()
        loss = loss + decay * weight.square().sum()
        steps.zero_grad()
        loss.backward()
        steps.step()
        if step % 10 == 9:
            seen.append(bits(weight.detach(), bias.detach()))
    return min(seen), seen[-1]


@pytest.mark.parametrize(
    ("name", "target"), [("much-ado-about-nothing", 3.6), ("henry-v", 3.65)]
)
def test_gold_labels_do_not_reach_what_soft_ones_do(name, target):
    given = lesson(name, 1500)
    _, soft = trained(given, given.teacher.softmax(-1))
    assert soft < target - 0.1, f"soft targets take {soft:.3f} bits"
    gold = one_hot(given.labels, V).float()
    best = min(trained(given, gold, decay)[0] for decay in (0, 2e-4, 5e-4, 1e-3))
    assert best > target + 0.05, f"gold labels, stopped at their best: {best:.3f} bits"


def test_the_teacher_is_a_law_of_what_follows():
    total = trigram().double().exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)
    assert trigram().isfinite().all()


def test_a_lesson_is_the_text_moved_along():
    one = lesson("hamlet", 50)
    assert one.contexts[1:, 0].equal(one.labels[:-1])
    assert one.contexts[1:, 1].equal(one.contexts[:-1, 0])
    assert spelled("Ah,  no!\n\n B").tolist() == [
        ALPHABET.index(c) for c in "ah, no\nb"
    ]
    with pytest.raises(ValueError, match="places of"):
        lesson("hamlet", 10**7)


def test_a_student_that_knows_nothing_takes_log2_of_the_alphabet():
    nothing = bits(torch.zeros(2, V, V), torch.zeros(V))
    assert nothing == pytest.approx(math.log2(V))
