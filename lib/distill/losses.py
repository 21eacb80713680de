"""Distillation losses: learn what a teacher thinks of every token, not only of one.

    p = softmax(t / T)     q = softmax(s / T)     teacher's logits t, student's s
    L = λ_ce · (−log softmax(s)_y) + λ_kd · T² · D_β(p ‖ q) + λ_cos · (1 − cos(h, h'))

    D_0 = KL(p ‖ q)     D_1 = KL(q ‖ p)
    D_β = β KL(p ‖ m) + (1 − β) KL(q ‖ m),  m = β p + (1 − β) q,  for 0 < β < 1

Its gradient is what one would wish: ∂ T² KL(p ‖ q) / ∂s = T (q − p). For large T it
tends to (s − t) / V, of centred logits: T² keeps it of one size whatever T is.

No gradient goes through the teacher. The mean is over the tokens that count: a label
of −100 marks padding, or a prompt that is not to be learned.

Read in order: `divergence`, `kl_gradient`, `next_tokens`, `Objective`,
`distillation_loss`, `cosine_loss`, `triple_loss`, `overlap`.
Source: Hinton et al. 2015, arXiv:1503.02531; triple loss: Sanh et al. 2019, DistilBERT,
arXiv:1910.01108; D_β: Agarwal et al. 2023, GKD, arXiv:2306.13649, equation 1.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, log_softmax

IGNORED = -100  # the label of a place that does not count, as in torch


def divergence(
    student: Float[Tensor, "*places vocabulary"],
    teacher: Float[Tensor, "*places vocabulary"],
    *,
    temperature: float = 1.0,
    beta: float = 0.0,
) -> Float[Tensor, "*places"]:
    """D_β of the two distributions at each place, in nats, from finite logits.

    Taken in float32 or better. ValueError for different shapes, a temperature that is
    not positive and finite, and a β outside [0, 1].
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student {tuple(student.shape)}, teacher {teacher.shape}")
    if not (0 < temperature < math.inf and 0 <= beta <= 1):
        raise ValueError(f"temperature={temperature}, beta={beta}")
    q, p = (
        log_softmax(wide(logits) / temperature, -1)
        for logits in (student, teacher.detach())
    )
    if beta == 0:
        return kl(p, q)
    if beta == 1:
        return kl(q, p)
    m = torch.logaddexp(p + math.log(beta), q + math.log1p(-beta))
    return beta * kl(p, m) + (1 - beta) * kl(q, m)


def kl(
    p: Float[Tensor, "*places vocabulary"], q: Float[Tensor, "*places vocabulary"]
) -> Float[Tensor, "*places"]:
    """KL(p ‖ q) = Σ p (log p − log q), from logarithms of probabilities."""
    return (p.exp() * (p - q)).sum(-1)


def kl_gradient(
    student: Float[Tensor, "*places vocabulary"],
    teacher: Float[Tensor, "*places vocabulary"],
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "*places vocabulary"]:
    """∂ T² KL(p ‖ q) / ∂s = T (q − p): no graph is needed."""
    q, p = ((wide(z) / temperature).softmax(-1) for z in (student, teacher))
    return temperature * (q - p)


def wide(x: Tensor) -> Tensor:
    """`x` in float32, unless it is wider."""
    return x if x.dtype == torch.float64 else x.float()


def next_tokens(
    tokens: Int[Tensor, "n window"], counts: Tensor | None = None
) -> Int[Tensor, "n window"]:
    """The label of each place: the token behind it; `IGNORED` where there is none.

    The logits at t predict token t + 1, so labels move one to the left. `counts` says
    of each token, by true or false, whether it is to be learned: padding is not.
    """
    learned = tokens if counts is None else tokens.masked_fill(~counts.bool(), IGNORED)
    labels = torch.full_like(tokens, IGNORED)
    labels[:, :-1] = learned[:, 1:]
    return labels


@dataclass(frozen=True)
class Objective:
    """The weights of the losses, T and β; ValueError for what is none."""

    kd: float = 1.0
    ce: float = 0.0
    cos: float = 0.0
    temperature: float = 1.0
    beta: float = 0.0

    def __post_init__(self) -> None:
        """Refuse negative weights, and nothing at all to learn."""
        weights = self.kd, self.ce, self.cos
        if min(weights) < 0 or not 0 < sum(weights) < math.inf:
            raise ValueError(f"kd={self.kd}, ce={self.ce}, cos={self.cos}")
        if not (0 < self.temperature < math.inf and 0 <= self.beta <= 1):
            raise ValueError(f"temperature={self.temperature}, beta={self.beta}")


def distillation_loss(
    student: Float[Tensor, "*places vocabulary"],
    teacher: Float[Tensor, "*places vocabulary"],
    labels: Int[Tensor, "*places"],
    objective: Objective,
    *,
    reduction: str = "mean",
) -> Float[Tensor, ""]:
    """λ_ce L_ce + λ_kd T² D_β, over the places whose label counts.

    `reduction` is "mean", or "sum" for a part of a batch. ValueError where no place
    counts in a mean, and as `divergence`.
    """
    counts = labels != IGNORED
    number = int(counts.sum())
    if reduction not in ("mean", "sum") or (reduction == "mean" and not number):
        raise ValueError(f"a {reduction} of {number} places that count")
    every = number == counts.numel()  # then no copy is made of what counts
    s, t, y = (x if every else x[counts] for x in (student, teacher, labels))
    loss = s.new_zeros((), dtype=wide(s[:0]).dtype)
    if objective.kd:
        soft = divergence(s, t, temperature=objective.temperature, beta=objective.beta)
        loss = loss + objective.kd * objective.temperature**2 * soft.sum()
    if objective.ce:
        rows, gold = wide(s).flatten(0, -2), y.flatten()
        loss = loss + objective.ce * cross_entropy(rows, gold, reduction="sum")
    return loss / number if reduction == "mean" else loss


def cosine_loss(
    student: Float[Tensor, "*places hidden"],
    teacher: Float[Tensor, "*places hidden"],
    labels: Int[Tensor, "*places"],
) -> Float[Tensor, ""]:
    """1 − cos(h, h'), the mean over the places that count; both of one width."""
    counts = labels != IGNORED
    pairs = student[counts], teacher.detach()[counts]
    return (1 - cosine_similarity(*map(wide, pairs), dim=-1)).mean()


def triple_loss(
    student: tuple[Tensor, Tensor],
    teacher: tuple[Tensor, Tensor],
    labels: Int[Tensor, "*places"],
    objective: Objective,
) -> Float[Tensor, ""]:
    """DistilBERT's: soft targets, gold labels, and the direction of hidden states.

    Each model is its (logits, last hidden states). ValueError as `distillation_loss`.
    """
    loss = distillation_loss(student[0], teacher[0], labels, objective)
    return loss + objective.cos * cosine_loss(student[1], teacher[1], labels)


def overlap(
    student: Float[Tensor, "*places vocabulary"],
    teacher: Float[Tensor, "*places vocabulary"],
) -> Float[Tensor, "*places"]:
    """Σ min(p, q) = 1 − ½ Σ|p − q|: how often the target accepts what a draft draws."""
    p, q = (wide(z).softmax(-1) for z in (teacher.detach(), student))
    return torch.minimum(p, q).sum(-1)
