"""The distillation loss of a large vocabulary, a few rows at a time.

    L = Σ_rows D(softmax(W_t h_t / T) ‖ softmax(W_s h_s / T))

4,096 tokens times 128,256 logits in float32 are 2.1 GB, and the loss wants them of both
models, with a gradient. But a row's loss needs that row only. So take a chunk of rows,
compute their logits, their loss and *its gradient*, add the gradient up in hidden
states and head, and forget the logits before the next chunk. What is held at once is
rows × vocabulary, never tokens × vocabulary.

Guarantee: loss and gradients are those of `distillation_loss`, up to the order of sums.

Read in order: `chunked_loss`, `_ByRows`.
Source: Hsu et al. 2024, "Liger Kernel", arXiv:2410.10989, section 3.2.
"""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.distill.losses import IGNORED, Objective, distillation_loss


def chunked_loss(
    hidden: Float[Tensor, "*places width"],
    head: Float[Tensor, "vocabulary width"],
    teacher_hidden: Float[Tensor, "*places teacher_width"],
    teacher_head: Float[Tensor, "vocabulary teacher_width"],
    labels: Int[Tensor, "*places"],
    objective: Objective,
    *,
    rows: int = 1024,
) -> Float[Tensor, ""]:
    """`distillation_loss` of the logits hidden · headᵀ, which are never stored.

    ValueError for `rows` below 1, and where no place counts.
    """
    counts = labels != IGNORED
    if rows < 1 or not counts.any():
        raise ValueError(f"rows={rows}, {int(counts.sum())} places that count")
    places = hidden[counts], teacher_hidden.detach()[counts], labels[counts]
    total = _ByRows.apply(places[0], head, places[1:], teacher_head, objective, rows)
    return total / len(places[0])


class _ByRows(torch.autograd.Function):
    """The sum of the loss; its gradient is taken with it, chunk by chunk."""

    @staticmethod
    def forward(ctx, hidden, head, others, teacher_head, objective, rows):
        wants_head = ctx.needs_input_grad[1]
        w = head.detach().requires_grad_(wants_head)
        gradients, total = torch.empty_like(hidden), 0.0
        of_head = torch.zeros_like(head, dtype=torch.float32) if wants_head else None
        cut = partial(torch.split, split_size_or_sections=rows)
        parts = zip(*map(cut, (hidden, *others, gradients)), strict=True)
        for h, seen, labels, place in parts:
            with torch.enable_grad():
                h = h.detach().requires_grad_()
                logits, known = h @ w.T, seen @ teacher_head.detach().T
                loss = distillation_loss(
                    logits, known, labels, objective, reduction="sum"
                )
            wanted = (h, w) if wants_head else (h,)
            found = torch.autograd.grad(loss, wanted)
            place.copy_(found[0])
            if of_head is not None:
                of_head += found[1]
            total = total + loss.detach()
        ctx.save_for_backward(
            gradients, None if of_head is None else of_head.to(head.dtype)
        )
        return total

    @staticmethod
    def backward(ctx, upstream):
        gradients, of_head = ctx.saved_tensors
        of_head = None if of_head is None else upstream * of_head
        return upstream * gradients, of_head, None, None, None, None
