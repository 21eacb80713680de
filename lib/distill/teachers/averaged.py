"""Several opinions as one teacher: an ensemble, a model that drops, a fellow student.

    ensemble          p = 1/M Σ_m softmax(t_m)                       M models, M passes
    dropout           p = 1/S Σ_s softmax(t with mask s)             one model, S passes
    co-distillation   L_i = λ_ce L_ce + λ_kd T² KL(p̄_{j ≠ i} ‖ q_i)  no teacher at all

Probabilities are averaged, not logits. The mean of M distributions is never worse than
the M are on average, in nats: −log is convex (Jensen). Averaged logits have a guarantee
of the same kind, but for another distribution, the normalised geometric mean.

Read in order: `average`, `ensemble`, `dropout_teacher`, `codistillation_loss`.
Source: Freitag et al. 2017, arXiv:1702.01802; Bulò et al. 2016, "Dropout distillation";
Anil et al. 2018, arXiv:1804.03235.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.distill.losses import Objective, distillation_loss, wide


def average(
    logits: Sequence[Float[Tensor, "*places vocabulary"]],
) -> Float[Tensor, "*places vocabulary"]:
    """log of the mean distribution: logits again, for any loss of this package.

    ValueError for no opinion.
    """
    if not logits:
        raise ValueError("an average of 0 distributions")
    each = torch.stack([wide(one).log_softmax(-1) for one in logits])
    return each.logsumexp(0) - math.log(len(logits))


@torch.no_grad()
def ensemble(models: Sequence[nn.Module], x: Tensor) -> Tensor:
    """What the models think on average of `x`: logits; costs a pass of each."""
    return average([model(x) for model in models])


@torch.no_grad()
def dropout_teacher(model: nn.Module, x: Tensor, samples: int) -> Tensor:
    """What one model thinks on average over `samples` draws of its dropout: logits.

    The model is left as it was. ValueError for no sample.
    """
    was = model.training
    model.train()
    try:
        return average([model(x) for _ in range(samples)])
    finally:
        model.train(was)


def codistillation_loss(
    logits: Sequence[Float[Tensor, "*places vocabulary"]],
    labels: Int[Tensor, "*places"],
    objective: Objective,
) -> Float[Tensor, ""]:
    """Σ_i of student i's loss, taught by the mean of all others at this very step.

    No gradient goes into the teaching side. ValueError for fewer than two students.
    """
    if len(logits) < 2:
        raise ValueError(f"co-distillation of {len(logits)} student")
    total = logits[0].new_zeros(())
    for i, own in enumerate(logits):
        others = average([one.detach() for j, one in enumerate(logits) if j != i])
        total = total + distillation_loss(own, others, labels, objective)
    return total
