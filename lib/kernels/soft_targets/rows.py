"""ℓ = λ_ce (−log softmax(s)_y) + λ_kd T² D_β(p ‖ q) of a row, and ∂ℓ/∂s where s was.

    p = softmax(t / T)     q = softmax(s / T)     teacher's logits t, student's s
    ∂ℓ/∂s = λ_ce (softmax(s) − e_y) + λ_kd T q (g − Σ q g),   g = ∂D_β/∂q

    D_0 = KL(p ‖ q)     q g = −p               so that q (g − Σ q g) = q − p
    D_1 = KL(q ‖ p)     g = log q/p
    D_β = β KL(p ‖ m) + (1 − β) KL(q ‖ m),  m = β p + (1 − β) q:  g = (1 − β) log q/m

Bytes a number, in 16 bits: t and s read for the two sums of exponentials, read again
for the loss, and the gradient written, 4 + 4 + 2 = 10; for β > 0, where Σ q g must be
known first, 4 more. The gradient needs no place of its own: it overwrites s.

Sums are float32, and so is ℓ; of float64, which only the reference takes, float64.
The gradient is rounded once, to the dtype of s.

Read in order: `rows_reference`, the kernels in rows_triton.py, `launch`, `soft_rows`;
`scale_in_place`. Taught in notebooks/13.
Source: Hinton et al. 2015, arXiv:1503.02531, section 2.1; D_β: Agarwal et al. 2023,
arXiv:2306.13649, equation 1; in place: Hsu et al. 2024, arXiv:2410.10989, section 3.2.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.kernels.core.compiler import require_triton, triton, widened
from lib.kernels.soft_targets.rows_triton import naive as _naive
from lib.kernels.soft_targets.rows_triton import scale as _scale
from lib.kernels.soft_targets.rows_triton import soft as _soft

BLOCK, WARPS = 2048, 8  # 16 bytes a thread of each model's logits in 16 bits
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def rows_reference(
    s: Float[Tensor, "rows vocabulary"],
    t: Float[Tensor, "rows vocabulary"],
    labels: Int[Tensor, " rows"],
    kd: float,
    ce: float,
    temperature: float,
    beta: float,
) -> Float[Tensor, " rows"]:
    """The equations, in place."""
    dtype = torch.float64 if s.dtype == torch.float64 else torch.float32
    wide, known = s.to(dtype), t.to(dtype)
    q, p = ((z / temperature).log_softmax(-1) for z in (wide, known))
    if beta == 0:
        loss = (p.exp() * (p - q)).sum(-1)
        gradient = q.exp() - p.exp()
    else:
        m = p
        if beta < 1:
            m = torch.logaddexp(p + math.log(beta), q + math.log1p(-beta))
        share = 1 - beta if beta < 1 else 1.0
        of_q = (q.exp() * (q - m)).sum(-1, keepdim=True)  # KL(q ‖ m)
        of_p = (p.exp() * (p - m)).sum(-1)
        loss = beta * of_p + share * of_q[:, 0]
        gradient = share * q.exp() * (q - m - of_q)
    loss, gradient = kd * temperature**2 * loss, kd * temperature * gradient
    if ce:
        gold, at = wide.log_softmax(-1), labels[:, None]
        loss = loss - ce * gold.gather(1, at)[:, 0]
        gradient += ce * gold.exp()
        gradient.scatter_add_(1, at, torch.full_like(gold[:, :1], -ce))
    s.copy_(gradient)
    return loss


def launch(
    s: Float[Tensor, "rows vocabulary"],
    t: Float[Tensor, "rows vocabulary"],
    labels: Int[Tensor, " rows"],
    kd: float,
    ce: float,
    temperature: float,
    beta: float,
    *,
    naive: bool = False,
    block: int = BLOCK,
) -> Float[Tensor, " rows"]:
    """The same by a kernel.

    ImportError without Triton; ValueError where no kernel reaches s.
    """
    require_triton(s)
    rows, vocabulary = s.shape
    loss = s.new_empty(rows, dtype=torch.float32)
    place = s.to(widened(s.dtype))  # s itself, but in the interpreter
    if rows:
        kernel = _naive if naive else _soft
        kernel[(rows,)](
            place,
            t.to(widened(t.dtype)),
            labels,
            loss,
            vocabulary,
            kd,
            ce,
            1 / temperature,
            beta,
            WITH_CE=ce > 0,
            WAY=0 if beta == 0 else 1 if beta == 1 else 2,
            BLOCK=block,
            num_warps=WARPS if block >= BLOCK else 1,
        )
    if place is not s:
        s.copy_(place)
    return loss


def launch_scale(x: Tensor, factor: Tensor) -> None:
    """x ← factor · x by a kernel that reads nothing else where the factor is 1."""
    require_triton(x)
    if x.numel():
        place = x.to(widened(x.dtype))
        count, block = x.numel(), 4096
        _scale[(triton.cdiv(count, block),)](place, factor, count, BLOCK=block)
        if place is not x:
            x.copy_(place)


def soft_rows(
    s: Float[Tensor, "rows vocabulary"],
    t: Float[Tensor, "rows vocabulary"],
    labels: Int[Tensor, " rows"],
    *,
    kd: float = 1.0,
    ce: float = 0.0,
    temperature: float = 1.0,
    beta: float = 0.0,
) -> Float[Tensor, " rows"]:
    """Each row's loss in nats; its gradient overwrites the student's logits `s`.

    Logits are finite, and labels, read where `ce` counts, tokens of the vocabulary: on
    a GPU neither is looked at. ValueError for logits that are no two matrices of one
    shape on one device, each contiguous and of floats, for labels that are not a number
    a row, for a negative weight, a temperature that is not positive and finite, and a β
    outside [0, 1].
    """
    if s.ndim != 2 or s.shape != t.shape or not s.shape[-1]:
        raise ValueError(f"student {tuple(s.shape)}, teacher {tuple(t.shape)}")
    if labels.shape != s.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(f"{len(s)} rows; labels {tuple(labels.shape)} {labels.dtype}")
    for name, z in (("student", s), ("teacher", t)):
        if z.dtype not in FLOATS or not z.is_contiguous() or z.requires_grad:
            raise ValueError(
                f"{name}: {z.dtype}, strides {z.stride()}, {z.requires_grad=}: "
                "contiguous floats that want no gradient"
            )
    if not s.device == t.device == labels.device:
        raise ValueError(f"on {s.device}, {t.device} and {labels.device}")
    if not (0 < temperature < math.inf and 0 <= beta <= 1 and kd >= 0 and ce >= 0):
        raise ValueError(f"{kd=}, {ce=}, {temperature=}, {beta=}")
    sizes = kd, ce, temperature, beta
    return torch.ops.llm_compression.soft_rows(s, t, labels, *sizes)


def scale_in_place(x: Float[Tensor, "*shape"], factor: Float[Tensor, ""]) -> None:
    """x ← factor · x, where x is contiguous; on a GPU not even read if that is x.

    ValueError for an x with gaps, and a factor on another device.
    """
    if not x.is_contiguous() or x.device != factor.device:
        raise ValueError(f"strides {x.stride()}; on {x.device} and {factor.device}")
    torch.ops.llm_compression.scale_in_place(x, factor)


torch.library.define(
    "llm_compression::soft_rows",
    "(Tensor(a!) s, Tensor t, Tensor labels, float kd, float ce, float temperature, "
    "float beta) -> Tensor",
)
torch.library.impl("llm_compression::soft_rows", "CPU", rows_reference)


@torch.library.impl("llm_compression::soft_rows", "CUDA")
def _on_cuda(s: Tensor, t: Tensor, labels: Tensor, *sizes: float) -> Tensor:
    wide = torch.float64 in (s.dtype, t.dtype)
    return (rows_reference if wide else launch)(s, t, labels, *sizes)


@torch.library.register_fake("llm_compression::soft_rows")
def _losses(s: Tensor, t: Tensor, labels: Tensor, *sizes: float) -> Tensor:
    dtype = torch.float64 if s.dtype == torch.float64 else torch.float32
    return s.new_empty(len(s), dtype=dtype)


torch.library.define(
    "llm_compression::scale_in_place", "(Tensor(a!) x, Tensor factor) -> ()"
)


@torch.library.impl("llm_compression::scale_in_place", "CPU")
def _scaled(x: Tensor, factor: Tensor) -> None:
    x.mul_(factor)


@torch.library.impl("llm_compression::scale_in_place", "CUDA")
def _scaled_on_cuda(x: Tensor, factor: Tensor) -> None:
    (_scaled if x.dtype == torch.float64 else launch_scale)(x, factor)


@torch.library.register_fake("llm_compression::scale_in_place")
def _in_place(x: Tensor, factor: Tensor) -> None:
    return None
