"""Root mean square normalization as one kernel, for a model that trains.

    y = g ⊙ x / √(mean x² + ε)          in float32, rounded once

transformers writes it as six operations, each of which reads and writes the whole of x,
forward, once more with checkpointing, and twice as many in the backward pass. torch has
it as one operation with its own backward. In 16 bits transformers also rounds twice,
before the gain and after it; so results differ by that rounding.

Read in order: `fused_norms`. Taught in notebooks/10.
Source: Zhang & Sennrich 2019, arXiv:1910.07467.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import rms_norm


@contextmanager
def fused_norms(model: nn.Module) -> Iterator[list[str]]:
    """For the length of a `with` block each norm that is this equation is one kernel.

    Gives the names of those; a norm of another equation (Gemma's gain is 1 + g) stays
    as it is.
    """
    norms = {n: m for n, m in model.named_modules() if _is_plain(m)}
    for norm in norms.values():
        norm.forward = _Fused(norm)
    try:
        yield list(norms)
    finally:
        for norm in norms.values():
            del norm.forward


class _Fused:
    """What stands in for a norm's `forward`."""

    def __init__(self, norm: nn.Module) -> None:
        self.norm = norm

    def __call__(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "..."]:
        gain = self.norm.weight
        return rms_norm(x, gain.shape, gain, self.norm.variance_epsilon)


def _is_plain(module: nn.Module) -> bool:
    """Whether this norm, tried on numbers, is the equation."""
    gain = getattr(module, "weight", None)
    if not hasattr(module, "variance_epsilon") or gain is None or gain.ndim != 1:
        return False
    x = torch.linspace(-2, 3, len(gain), device=gain.device, dtype=gain.dtype)
    with torch.no_grad():
        usual, fused = module(x), _Fused(module)(x)
    close = {"rtol": 4 * torch.finfo(gain.dtype).eps, "atol": 0}
    return torch.allclose(usual.float(), fused.float(), **close)
