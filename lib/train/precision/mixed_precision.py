"""Mixed precision: products in 16 bits, weights in 32, and a scale for the loss.

    w16 = fp16(w);   g16 = ∇ (S · loss)(w16);   g = g16 / S in fp32
    any g infinite or NaN:  skip the step, S ← S / 2
    else:                   clip g, w ← w - η u(g);  after N such steps S ← 2 S

fp16 has no numbers below 2^-24, and gradients live there: S moves them up. The gradient
is linear in the loss, and a power of two moves exponents only, so g is what it would be
without S, but for what no longer falls to 0. Divide before clipping: the clip's bound
is one for g, not for S g.

w stays in fp32 since w - η u rounds back to w where η u is under half a gap: of bf16,
that is 2^-9 of w. Without fp32 weights, stochastic rounding keeps such steps in the
mean.

Read in order: `LossScale`, `Masters`, `step`, `round_after`, `binades`, `lost`.
Taught in notebooks/09. Source: Micikevicius et al. 2018, arXiv:1710.03740, section 3;
torch.amp.GradScaler (the rule of S; tests follow it step for step); Gupta et al. 2015,
arXiv:1502.02551 (stochastic rounding of weights).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from lib.formats import FloatFormat, round_to

FLOOR = -150  # below 2^-149 float32 has no numbers: the binade of 0


@dataclass(frozen=True)
class LossScale:
    """S, and how many steps it has been right. `interval=None` is a static S.

    ValueError for an S that is not positive and finite, and for rules that do not move
    it: growth above 1, backoff between 0 and 1, an interval of 1 or more.
    """

    scale: float = 2.0**16
    interval: int | None = 2000
    growth: float = 2.0
    backoff: float = 0.5
    clean: int = 0

    def __post_init__(self) -> None:
        """Refuse what no rule keeps positive."""
        if not 0 < self.scale < math.inf:
            raise ValueError(f"a loss times {self.scale}")
        moves = self.growth > 1 > self.backoff > 0
        if not moves or (self.interval is not None and self.interval < 1):
            raise ValueError(f"{self}: growth, backoff or interval out of range")

    def after(self, overflow: bool) -> "LossScale":
        """The state after a step, which was skipped if there was an overflow."""
        if self.interval is None:
            return self
        if overflow:
            return replace(self, scale=self.scale * self.backoff, clean=0)
        if self.clean + 1 < self.interval:
            return replace(self, clean=self.clean + 1)
        grown = torch.tensor(self.scale * self.growth, dtype=torch.float32)
        scale = self.scale * self.growth if grown.isfinite() else self.scale
        return replace(self, scale=scale, clean=0)


class Masters:
    """fp32 copies of weights that the model keeps in 16 bits; the optimizer's own.

    A weight that is float32 already is its own master.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.low = list(parameters)
        self.weights = [
            p if p.dtype == torch.float32 else p.detach().float().requires_grad_()
            for p in self.low
        ]

    def collect(self, scale: float) -> bool:
        """g = g16 / S in fp32 into the masters; whether all of it is finite."""
        finite = True
        for p, w in zip(self.low, self.weights, strict=True):
            if p.grad is None:
                continue
            g = p.grad.float().mul_(1 / scale)
            p.grad = None
            w.grad = g
            finite &= bool(g.isfinite().all())
        return finite

    @torch.no_grad()
    def publish(self) -> None:
        """w16 = the masters, rounded to nearest."""
        for p, w in zip(self.low, self.weights, strict=True):
            if p is not w:
                p.copy_(w)


def step(
    loss: Float[Tensor, ""],
    masters: Masters,
    optimizer: torch.optim.Optimizer,
    state: LossScale,
    *,
    clip: float | None = None,
) -> LossScale:
    """One step of `optimizer`, which is over `masters.weights`; the scale's next state.

    `clip` bounds the norm of g, after the division by S. A step with an infinity or a
    NaN changes no weight and no moment.
    """
    (loss.float() * state.scale).backward()
    finite = masters.collect(state.scale)
    if finite:
        if clip is not None:
            clip_grad_norm_(masters.weights, clip)
        optimizer.step()
        masters.publish()
    optimizer.zero_grad()
    return state.after(not finite)


def round_after(
    optimizer: torch.optim.Optimizer,
    fmt: FloatFormat,
    *,
    rounding: str = "nearest",
    generator: torch.Generator | None = None,
) -> torch.utils.hooks.RemovableHandle:
    """Keep the weights in `fmt` alone: after each step they are rounded to it.

    The step itself is computed in fp32 and no master is left. Remove the handle to end.
    """
    how = {"rounding": rounding, "generator": generator}

    @torch.no_grad()
    def hook(optimizer: torch.optim.Optimizer, *_: object) -> None:
        for group in optimizer.param_groups:
            for w in group["params"]:
                w.copy_(round_to(w, fmt, **how))

    return optimizer.register_step_post_hook(hook)


def binades(g: Float[Tensor, "*shape"]) -> dict[int, int]:
    """How many |g| lie in [2^e, 2^(e+1)), for each e; zeros at `FLOOR`.

    ValueError for an infinity or a NaN.
    """
    if bad := int((~g.isfinite()).sum()):
        raise ValueError(f"{bad} of the gradients are infinite or NaN")
    exponent = torch.frexp(g.detach().float().flatten())[1] - 1
    exponent = torch.where(g.flatten() == 0, FLOOR, exponent.clamp(min=FLOOR + 1))
    counts = torch.bincount(exponent - FLOOR)
    return {e + FLOOR: n for e, n in enumerate(counts.tolist()) if n}


def lost(counts: dict[int, int], fmt: FloatFormat, scale: float = 1.0) -> float:
    """Share of the numbers that are not 0 whose product with `scale` rounds to 0.

    `scale` is a power of two, else ValueError. Numbers of half the smallest subnormal,
    exactly, count as kept, though ties go to 0.
    """
    mantissa, exponent = math.frexp(scale)
    if mantissa != 0.5:
        raise ValueError(f"{scale=} is not a power of two")
    least = math.frexp(fmt.smallest_subnormal)[1] - 2  # half of it: 2^least
    there = {e: n for e, n in counts.items() if e > FLOOR}
    gone = sum(n for e, n in there.items() if e + exponent - 1 < least)
    return gone / max(1, sum(there.values()))
