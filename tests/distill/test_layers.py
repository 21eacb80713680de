"""Layers find the nearest that is there, and the loss pulls to it."""

import pytest
import torch

from lib.distill.intermediate import (
    distances,
    identity_projection,
    layer_loss,
    nearest_layers,
)


@pytest.fixture
def states(generator):
    """Six layers' states, and the three odd ones of them as a teacher's."""
    student = [torch.randn(2, 5, 8, generator=generator) for _ in range(6)]
    return student, student[1::2]


def test_a_copy_finds_itself_at_no_distance(states):
    student, teacher = states
    eye = identity_projection(8, 8)
    loss, matched = layer_loss(student, teacher, eye, present=range(6))
    assert matched == [1, 3, 5] and loss.item() == 0


def test_a_layer_that_is_gone_is_not_waited_for(states):
    student, teacher = states
    found = distances(student, teacher, identity_projection(8, 8))
    left = [0, 2, 5]
    matched = nearest_layers(found, left, ordered=False)
    for row, j in zip(found, matched, strict=True):
        assert j in left and row[j] == row[left].min()
    assert matched[-1] == 5


def test_with_an_order_no_pair_crosses_another():
    found = torch.tensor([[3.0, 2, 1], [1, 2, 3], [1, 3, 2]])
    assert nearest_layers(found, [0, 1, 2], ordered=False) == [2, 0, 0]
    assert nearest_layers(found, [0, 1, 2], ordered=True) == [2, 2, 2]
    assert nearest_layers(torch.ones(2, 3), [2, 1], ordered=True) == [1, 1]


def test_the_gradient_reaches_student_and_projection_and_not_the_teacher(states):
    student, teacher = states
    student = [h.clone().requires_grad_(True) for h in student]
    wide = identity_projection(8, 12)
    taught = [torch.randn(2, 5, 12).requires_grad_(True) for _ in teacher]
    loss, matched = layer_loss(student, taught, wide, present=[0, 4])
    expected = sum(
        (wide(student[j]) - h).square().mean()
        for j, h in zip(matched, taught, strict=True)
    )
    assert torch.allclose(loss, expected)
    loss.backward()
    assert wide.weight.grad is not None and all(h.grad is None for h in taught)
    touched = {j for j, h in enumerate(student) if h.grad is not None}
    assert touched == set(matched)


def test_refusals(states):
    student, teacher = states
    eye = identity_projection(8, 8)
    for present in ([], [6], [-1, 2]):
        with pytest.raises(ValueError, match="of 6"):
            layer_loss(student, teacher, eye, present=present)
    with pytest.raises(ValueError, match="no layer of the teacher"):
        layer_loss(student, [], eye, present=[0])
