"""A few rows at a time: the same loss and gradients, and no large tensor."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lib.distill.chunked import chunked_loss
from lib.distill.losses import IGNORED, Objective, distillation_loss

VOCABULARY, ROWS = 301, 8


class Largest(TorchDispatchMode):
    """Notes the most numbers that any operation gave back."""

    numbers = 0

    def __torch_dispatch__(self, call, types, args=(), kwargs=None):
        out = call(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else [out]:
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.numel())
        return out


@pytest.fixture
def case(generator):
    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    labels = torch.randint(0, VOCABULARY, (3, 20), generator=generator)
    labels[1, 5:9] = IGNORED
    return (
        draw(3, 20, 6),
        draw(VOCABULARY, 6),
        draw(3, 20, 4),
        draw(VOCABULARY, 4),
        labels,
    )


@pytest.mark.parametrize("rows", (1, 7, 8, 56, 1000))
@pytest.mark.parametrize("beta", (0.0, 0.3, 1.0))
def test_loss_and_gradients_are_the_plain_ones(case, rows, beta):
    hidden, head, seen, known, labels = case
    objective = Objective(kd=0.7, ce=0.4, temperature=2.0, beta=beta)
    found = []
    for chunked in (True, False):
        h, w = hidden.clone().requires_grad_(), head.clone().requires_grad_()
        if chunked:
            loss = chunked_loss(h, w, seen, known, labels, objective, rows=rows)
        else:
            logits = h @ w.T, seen @ known.T
            loss = distillation_loss(*logits, labels, objective)
        (3 * loss).backward()
        found.append((loss.detach(), h.grad, w.grad))
    for ours, plain in zip(*found, strict=True):
        scale = plain.abs().max()
        assert (ours - plain).abs().max() <= 1e-12 * scale


def test_no_tensor_holds_tokens_times_vocabulary(case):
    hidden, head, seen, known, labels = case
    h = hidden.clone().requires_grad_()
    with Largest() as most:
        chunked_loss(h, head, seen, known, labels, Objective(), rows=ROWS).backward()
    assert most.numbers <= ROWS * VOCABULARY
    with Largest() as most:
        distillation_loss(h @ head.T, seen @ known.T, labels, Objective()).backward()
    assert most.numbers >= labels.numel() * VOCABULARY, "the plain loss shows"


def test_a_frozen_head_and_the_teacher_get_no_gradient(case):
    hidden, head, seen, known, labels = case
    h, t = hidden.clone().requires_grad_(), seen.clone().requires_grad_()
    chunked_loss(h, head, t, known, labels, Objective(), rows=ROWS).backward()
    assert h.grad.any() and head.grad is None and t.grad is None


def test_a_head_in_sixteen_bits_is_rounded_once_a_chunk(case):
    hidden, head, *others = (x.float() for x in case[:-1])
    labels, found = case[-1], []
    for dtype in (torch.bfloat16, torch.float32):
        h = hidden.bfloat16().to(dtype)
        w = head.bfloat16().to(dtype).requires_grad_()
        seen, known = (x.bfloat16().to(dtype) for x in others)
        chunked_loss(h, w, seen, known, labels, Objective(), rows=ROWS).backward()
        found.append(w.grad.float())
    chunks = -(-int((labels != IGNORED).sum()) // ROWS)
    # Of logits, of the gradient over them, and of each sum: 2⁻⁸ a rounding at most
    bound = (chunks + 2) * 2.0**-8 * found[1].norm()
    assert (found[0] - found[1]).norm() <= bound


def test_gradients_are_handed_on_once(case):
    hidden, head, seen, known, labels = case
    h = hidden.clone().requires_grad_()
    loss = chunked_loss(h, head, seen, known, labels, Objective(), rows=ROWS)
    loss.backward(retain_graph=True)
    before = h.grad.clone()
    with pytest.raises(ValueError, match="handed on already"):
        loss.backward()
    assert torch.equal(h.grad, before)


def test_refusals(case):
    hidden, head, seen, known, labels = case
    with pytest.raises(ValueError, match="rows=0"):
        chunked_loss(hidden, head, seen, known, labels, Objective(), rows=0)
    with pytest.raises(ValueError, match="0 places"):
        none = torch.full_like(labels, IGNORED)
        chunked_loss(hidden, head, seen, known, none, Objective())
    with pytest.raises(ValueError, match=f"to {VOCABULARY} of {VOCABULARY} tokens"):
        wrong = labels.index_fill(1, torch.tensor([3]), VOCABULARY)
        chunked_loss(hidden, head, seen, known, wrong, Objective())
