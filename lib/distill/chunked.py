"""The distillation loss of a large vocabulary, a few rows at a time.

    L = mean over rows of  ℓ(h_r W_sᵀ, k_r W_tᵀ)     ℓ as lib/distill/losses.py has it

4,096 tokens times 128,256 logits in float32 are 2.1 GB, and the loss wants them of both
models, with a gradient. But a row's loss needs that row only. So take a chunk of rows:

    S = H W_sᵀ,  K = H_t W_tᵀ     the logits, each into a place that all chunks share
    S ← ∂ℓ/∂S                     loss and gradient by one kernel, over the logits
    ∂H = S W_s / n,  ∂W_s += Sᵀ H / n

Four products are all the arithmetic that there is, 2 n V (3 d + d_t) of multiplying and
adding: nothing is computed twice. What is held at once is two chunks of rows ×
vocabulary and the gradients, never tokens × vocabulary.

Guarantee: loss and gradients are those of `distillation_loss`, up to the order of sums,
and to a rounding a chunk of the head's gradient, which has the head's dtype.

Read in order: `chunked_loss`, `_ByRows`; lib/kernels/soft_targets.
Source: Hsu et al. 2024, "Liger Kernel", arXiv:2410.10989, section 3.2.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.distill.losses import IGNORED, Objective
from lib.kernels.soft_targets import scale_in_place, soft_rows


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

    Its gradient is made with it, and handed on once: a second backward pass through the
    same loss is a ValueError, as are `rows` below 1, labels outside the vocabulary, and
    no place that counts.
    """
    counts = labels != IGNORED
    number, vocabulary = int(counts.sum()), len(head)
    if rows < 1 or not number:
        raise ValueError(f"rows={rows}, {number} places that count")
    every = number == counts.numel()  # then no copy is made of what counts
    parts = (hidden, teacher_hidden.detach(), labels)
    h, known, gold = (
        x.flatten(0, labels.ndim - 1) if every else x[counts] for x in parts
    )
    low, high = gold.min().item(), gold.max().item()
    if low < 0 or high >= vocabulary:
        raise ValueError(f"labels from {low} to {high} of {vocabulary} tokens")
    return _ByRows.apply(h, head, known, teacher_head.detach(), gold, objective, rows)


class _ByRows(torch.autograd.Function):
    """The mean of the loss; its gradient is taken with it, chunk by chunk."""

    @staticmethod
    def forward(ctx, hidden, head, known, teacher_head, labels, objective, rows):
        of_hidden, total = torch.empty_like(hidden), 0.0
        of_head = torch.empty_like(head) if ctx.needs_input_grad[1] else None
        size, share = min(rows, len(hidden)), 1 / len(hidden)
        places = [x.new_empty(size, len(head)) for x in (hidden, known)]
        weights = {
            n: getattr(objective, n) for n in ("kd", "ce", "temperature", "beta")
        }
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            h = hidden[part]
            s, k = (place[: len(h)] for place in places)
            torch.mm(h, head.T, out=s)
            torch.mm(known[part], teacher_head.T, out=k)
            total = total + soft_rows(s, k, labels[part], **weights).sum()
            torch.addmm(h, s, head, beta=0, alpha=share, out=of_hidden[part])
            if of_head is not None:  # at first beta = 0: what is there is not read
                of_head.addmm_(s.T, h, beta=min(start, 1), alpha=share)
        ctx.gradients = of_hidden, of_head
        return share * total

    @staticmethod
    def backward(ctx, upstream):
        if ctx.gradients is None:
            raise ValueError("the gradients of this loss were handed on already")
        found, ctx.gradients = ctx.gradients, None
        for gradient in found:
            if gradient is not None:
                scale_in_place(gradient, upstream)
        return *found, *[None] * 5
