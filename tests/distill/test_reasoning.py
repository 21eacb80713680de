"""Sums have one answer; what is learned stands behind "="; a right student scores 1."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from lib.distill.losses import IGNORED
from lib.distill.reasoning import rationale
from lib.distill.reasoning.rationale import (
    ANSWER,
    EQUALS,
    PADDING,
    RATIONALE,
    exact_match,
    labels_of,
    layout,
    prompts,
    rationale_loss,
)
from lib.distill.reasoning.sums import problems, rationales


def test_problems_are_different_digits_and_all_of_them_can_be_drawn():
    some = problems(1000, 3, seed=0)
    assert sorted((some @ torch.tensor([100, 10, 1])).tolist()) == list(range(1000))
    assert torch.equal(problems(5, 3, seed=0), some[:5])
    with pytest.raises(ValueError, match="101 problems of 2 digits"):
        problems(101, 2, seed=0)


def test_each_step_of_a_rationale_adds_the_digit_that_it_copies():
    problem = problems(200, 5, seed=1)
    steps = rationales(problem).view(200, 5, 2)
    before = torch.zeros(200, dtype=torch.long)
    for i in range(5):
        assert torch.equal(steps[:, i, 0], problem[:, i])
        assert torch.equal(steps[:, i, 1], (before + problem[:, i]) % 10)
        before = steps[:, i, 1]
    assert torch.equal(before, problem.sum(-1) % 10)


def test_layouts_by_hand():
    problem = torch.tensor([[7, 5]])
    asked = [ANSWER, 7, 5, EQUALS]
    assert layout(problem, "answer").tolist() == [[*asked, 2]]
    assert layout(problem, "trace").tolist() == [[*asked, 7, 7, 5, 2]]
    both = layout(problem, "second task").tolist()
    reason = [RATIONALE, 7, 5, EQUALS, 7, 7, 5, 2]
    assert both == [[*asked, 2, PADDING, PADDING, PADDING], reason]
    with pytest.raises(ValueError, match="'poem' is none of"):
        layout(problem, "poem")


def test_only_what_stands_behind_equals_is_learned():
    rows = layout(torch.tensor([[7, 5]]), "second task")
    no = IGNORED
    first = [no, no, no, 2, no, no, no, no]
    assert labels_of(rows).tolist() == [first, [no, no, no, 7, 7, 5, 2, no]]


class Fixed(torch.nn.Module):
    """Logits that are given."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, **inputs):
        return self


def test_the_second_task_is_weighted_and_each_has_its_own_mean():
    rows = layout(problems(3, 2, seed=0), "second task")
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(*rows.shape, rationale.VOCABULARY, generator=draw)
    answers = cross_entropy(logits[::2, 3], rows[::2, 4])
    reasons = cross_entropy(logits[1::2, 3:7].flatten(0, 1), rows[1::2, 4:].flatten())
    loss = rationale_loss(Fixed(logits), rows, weight=0.3)
    assert torch.allclose(loss, answers + 0.3 * reasons)
    alone = rationale_loss(Fixed(logits[::2]), rows[::2], weight=0.3)
    assert torch.allclose(alone, answers)


@pytest.mark.parametrize(
    ("how", "length"), (("answer", 1), ("second task", 1), ("trace", 6))
)
def test_the_last_token_is_judged_and_a_trace_may_be_written(monkeypatch, how, length):
    problem = problems(10, 3, seed=0)
    right = rationales(problem)

    def write(student, asked, new_tokens, *, temperature, batch):
        assert new_tokens == length and temperature == 0
        assert asked == prompts(problem).tolist()
        texts = right[:, -length:].clone()
        texts[:4, -1] = (texts[:4, -1] + 1) % 10
        return texts.tolist()

    monkeypatch.setattr(rationale, "write", write)
    assert exact_match(torch.nn.Identity(), problem, how) == pytest.approx(0.6)
