"""A student of all layers is its teacher; of some, it has those and the embeddings."""

import itertools

import pytest
import torch

from lib.distill.intermediate import even_layers, from_layers
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
