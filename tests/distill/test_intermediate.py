"""A student of all layers is its teacher; of some, it has those and the embeddings."""

import itertools

import pytest
import torch

from lib.distill.intermediate import (
    attention_loss,
    even_layers,
    every_second,
    fitted_projection,
    from_layers,
    hidden_loss,
)
from tests.conftest import llama_of

IDS = torch.tensor([[3, 1, 4, 1, 5]])


def test_all_layers_make_the_teacher():
    teacher = llama_of(num_hidden_layers=4)
    same = from_layers(teacher, range(4))
    assert torch.equal(same(input_ids=IDS).logits, teacher(input_ids=IDS).logits)


def test_some_layers_make_a_shorter_model_with_copies():
    teacher = llama_of(num_hidden_layers=4)
    student = from_layers(teacher, [0, 3])
    assert student.config.num_hidden_layers == 2 and len(student.model.layers) == 2
    assert student.lm_head.weight is teacher.lm_head.weight
    kept = teacher.model.layers[3].mlp.up_proj.weight
    copied = student.model.layers[1].mlp.up_proj.weight
    assert torch.equal(copied, kept) and copied is not kept
    out = student.generate(IDS, max_new_tokens=4, do_sample=False, pad_token_id=0)
    again = student(input_ids=out[:, :-1]).logits[0, 4:].argmax(-1)
    assert torch.equal(out[0, 5:], again), "its cache counts two layers"


@pytest.mark.parametrize(("of", "kept"), ((30, 4), (12, 6), (5, 1), (7, 7)))
def test_even_layers_hold_both_ends_and_spread(of, kept):
    layers = even_layers(of, kept)
    assert layers[0] == 0 and len(set(layers)) == kept
    if kept > 1:
        gaps = [b - a for a, b in itertools.pairwise(layers)]
        assert layers[-1] == of - 1 and max(gaps) - min(gaps) <= 1


def test_refusals():
    with pytest.raises(ValueError, match=r"layers \[4\] of 4"):
        from_layers(llama_of(num_hidden_layers=4), [4])
    with pytest.raises(ValueError, match="5 of 4 layers"):
        even_layers(4, 5)


def test_every_second_layer():
    assert every_second(12) == [0, 2, 4, 6, 8, 10] and every_second(1) == [0]
    with pytest.raises(ValueError, match="of 0 layers"):
        every_second(0)


def states(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_fitted_projection_is_exact_where_one_exists_and_else_no_other_is_better():
    h, wide = states(50, 4), states(4, 7, seed=1)
    exact = h @ wide + states(7, seed=2)
    everywhere = torch.ones(50, dtype=torch.bool)
    assert hidden_loss(h, exact, fitted_projection(h, exact), everywhere) < 1e-9
    other = states(50, 7, seed=3)
    fitted = fitted_projection(h, other)
    least = hidden_loss(h, other, fitted, everywhere)
    least.backward()
    assert fitted.weight.grad.abs().max() < 1e-5, "the gradient of the least squares"
    assert fitted.bias.grad.abs().max() < 1e-5
    with pytest.raises(ValueError, match="50 rows of the student, 9"):
        fitted_projection(h, other[:9])


def test_hidden_states_count_where_they_should_and_the_teacher_learns_nothing():
    h, teacher = states(2, 3, 4), states(2, 3, 6, seed=1).requires_grad_(True)
    counts = torch.tensor([[1, 1, 0], [1, 0, 0]]).bool()
    projection = torch.nn.Linear(4, 6)
    loss = hidden_loss(h, teacher, projection, counts)
    rows = [
        (projection(h[i, j]) - teacher[i, j]).square().mean()
        for i, j in counts.nonzero()
    ]
    assert torch.allclose(loss, torch.stack(rows).mean())
    loss.backward()
    assert teacher.grad is None and projection.weight.grad is not None
    with pytest.raises(ValueError, match="0 places"):
        hidden_loss(h, teacher, projection, counts & False)
    with pytest.raises(ValueError, match="between widths"):
        hidden_loss(h, teacher, torch.nn.Linear(4, 5), counts)


def test_attention_loss_is_torchs_kl_of_causal_rows():
    mask = torch.full((5, 5), -torch.inf).triu(1)
    own, known = ((states(2, 3, 5, 5, seed=s) + mask).softmax(-1) for s in (1, 2))
    loss = attention_loss(own, known)
    want = torch.nn.functional.kl_div(
        own.clamp(min=1e-38).log(), known, reduction="none"
    )
    assert torch.allclose(loss, want.sum(-1).mean()) and loss > 0
    assert attention_loss(known, known).abs() < 1e-6
    leaf = own.clone().requires_grad_(True)
    attention_loss(leaf, known).backward()
    assert leaf.grad.isfinite().all()
    with pytest.raises(ValueError, match="attention"):
        attention_loss(own[:1], known)
