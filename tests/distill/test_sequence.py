"""Sequence level is word level on texts drawn from the model: by enumeration."""

import itertools

import pytest
import torch

from lib.distill.sequence import left_padded, on_policy_loss, text_divergences, write
from tests.conftest import llama_of

V, NEW, PROMPT = 4, 3, (1, 2)


@pytest.fixture
def models():
    teacher, student = (llama_of(vocab_size=V).double() for _ in range(2))
    draw = torch.Generator().manual_seed(3)
    for model in (teacher, student):
        for p in model.parameters():
            p.add_(0.4 * torch.randn(p.shape, generator=draw, dtype=p.dtype))
    return student, teacher


def every_text():
    ends = itertools.product(range(V), repeat=NEW)
    return torch.tensor([[*PROMPT, *end] for end in ends])


def law(model, texts):
    """log p(y | prompt) of each text."""
    rows = model(input_ids=texts).logits.log_softmax(-1)[:, len(PROMPT) - 1 : -1]
    return rows.gather(-1, texts[:, len(PROMPT) :, None])[..., 0].sum(-1)


@pytest.mark.parametrize("beta", (0.0, 1.0))
def test_the_mean_over_all_texts_is_the_divergence_of_their_laws(models, beta):
    student, teacher = models
    texts = every_text()
    p, q = law(teacher, texts), law(student, texts)
    assert p.exp().sum() == pytest.approx(1, abs=1e-12)
    writer, other = (p, q) if beta == 0 else (q, p)
    expected = (writer.exp() * (writer - other)).sum()
    each = text_divergences(student, teacher, texts, len(PROMPT), beta=beta)
    assert expected > 0.1, "the two differ"
    assert (writer.exp() @ each).item() == pytest.approx(expected.item(), rel=1e-10)
    # On texts of the other one, word level is something else
    assert (other.exp() @ each).item() != pytest.approx(expected.item(), rel=1e-2)


def test_what_is_written_has_the_models_law(models):
    _, teacher = models
    count = 4000
    new = torch.tensor(write(teacher, [PROMPT] * count, NEW, batch=1000))
    seen = torch.bincount(new @ torch.tensor([V * V, V, 1]), minlength=V**NEW)
    expected = law(teacher, every_text()).exp() * count
    chi = ((seen - expected) ** 2 / expected)[expected > 1].sum()
    assert chi < 150, "63 degrees of freedom: one run in 1e7 is above"


def test_greedy_texts_do_not_depend_on_who_shares_their_batch(models):
    _, teacher = models
    prompts = [[1], [2, 3, 1], [0, 1], [3, 3, 2, 1, 0], [2]]
    together = write(teacher, prompts, 6, temperature=0.0, batch=5)
    assert together == [write(teacher, [p], 6, temperature=0.0)[0] for p in prompts]
    assert together == write(teacher, prompts, 6, temperature=0.0, batch=2)


def test_a_text_ends_with_its_stop(models):
    _, teacher = models
    free = write(teacher, [[1], [2], [3]], 8, seed=4)
    stopped = write(teacher, [[1], [2], [3]], 8, seed=4, stop=2)
    assert any(2 in text for text in free)
    for long, short in zip(free, stopped, strict=True):
        end = long.index(2) + 1 if 2 in long else len(long)
        assert short == long[:end]
    with pytest.raises(ValueError, match="a prompt is empty"):
        write(teacher, [[]], 3)


def test_on_policy_draws_from_the_student_and_moves_it_to_the_teacher(models):
    student, teacher = models
    prompts = torch.tensor([PROMPT] * 256)
    p, q = law(teacher, every_text()), law(student, every_text())
    exact = (q.exp() * (q - p)).sum() / NEW
    assert on_policy_loss(student, teacher, prompts, NEW).item() == pytest.approx(
        exact.item(), rel=0.2
    )
    student.requires_grad_(True)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.02)
    for step in range(25):
        optimizer.zero_grad()
        on_policy_loss(student, teacher, prompts[:64], NEW, seed=step).backward()
        optimizer.step()
    with torch.no_grad():
        q = law(student, every_text())
    assert (q.exp() * (q - p)).sum() / NEW < exact / 2


def test_padding_stands_on_the_left():
    ids, known = left_padded([[7], [8, 9]])
    assert ids.tolist() == [[0, 7], [8, 9]]
    assert known.tolist() == [[False, True], [True, True]]
