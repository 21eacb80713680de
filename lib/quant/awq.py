"""AWQ: a channel with large inputs gets finer steps, by scaling it up before rounding.

    W x = (W diag(s)) (x / s)          s_j = (mean|x_j|)^α, normalized; α by search
    minimize over α:   tr(Δ H Δᵀ),   Δ = W − Q(W diag(s)) diag(1/s)

Rounding moves a weight by up to half a step of its group, whatever its size; so scaling
column j up by s_j > 1 divides the error on x_j by s_j, as long as the group's largest
weight, and with it the step, stays. α = 0 is round-to-nearest and is among the
candidates, so that the search never costs error on the calibration text. The division
x / s costs nothing: it is folded into the layer before, and the model computes what it
did. Ranges are then clipped by search, weighing errors by diag H.

Read in order: `AWQ`, `awq_scales`, `scale_model`, `FOLDS`.  Taught in notebooks/06.
Source: Lin et al. 2023, arXiv:2306.00978, section 3.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.progress import progress
from lib.quant.grouped import Grouped, fit_groups, round_to_nearest
from lib.quant.hessian import Hessian
from lib.quant.linear import dequantize, quantize

# In each block of a Llama-shaped model: whose output, and which layers read it.
FOLDS = (
    ("input_layernorm", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
    ("self_attn.v_proj", ("self_attn.o_proj",)),
    ("post_attention_layernorm", ("mlp.gate_proj", "mlp.up_proj")),
    ("mlp.up_proj", ("mlp.down_proj",)),
)


@dataclass(frozen=True)
class AWQ:
    """Settings: 4 bits in groups of 64, 20 exponents α, 10 clipped ranges."""

    calibrated: ClassVar[bool] = True
    bits: int = 4
    group: int = 64
    symmetric: bool = False
    exponents: int = 20
    candidates: int = 10

    def __post_init__(self) -> None:
        for name in ("group", "exponents", "candidates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.bits not in range(1 + self.symmetric, 9):
            raise ValueError(f"bits={self.bits} with symmetric={self.symmetric}")

    def prepare(self, model: nn.Module, windows: Int[Tensor, "n window"]) -> None:
        """Scale the model's channels, leaving what it computes as it is."""
        scale_model(model, windows, self)

    def quantize(self, w: Tensor, inputs: Hessian) -> Grouped:
        """Round to nearest, each group clipped where that lowers its weighted error."""
        return round_to_nearest(
            w,
            bits=self.bits,
            group=self.group,
            symmetric=self.symmetric,
            importance=inputs.matrix.diagonal(),
            candidates=self.candidates,
        )


def awq_scales(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    magnitude: Float[Tensor, " cols"],
    settings: AWQ,
) -> tuple[Float[Tensor, " cols"], float]:
    """The scales s with the least output error, and their exponent α in [0, 1).

    `magnitude` is mean |x|; s = magnitude^α, divided by √(max s · min s), so that no
    group is blown up as a whole. A channel that never fires counts as the faintest.
    """
    if not (magnitude > 0).any():
        raise ValueError(f"all {len(magnitude)} input channels are dead")
    least = magnitude[magnitude > 0].amin()
    h, base = hessian.to(w.dtype), magnitude.clamp(min=least).to(w.dtype)
    best, best_alpha, lowest = torch.ones_like(base), 0.0, torch.inf
    for k in range(settings.exponents):
        alpha = k / settings.exponents
        s = base**alpha
        s = s / (s.amax() * s.amin()).sqrt()
        grid = fit_groups(
            w * s,
            bits=settings.bits,
            group=settings.group,
            symmetric=settings.symmetric,
        )
        delta = w - dequantize(quantize(w * s, grid), grid) / s
        error = ((delta @ h) * delta).sum().item()
        if error < lowest:
            best, best_alpha, lowest = s, alpha, error
    return best, best_alpha


@torch.no_grad()
def scale_model(
    model: nn.Module, windows: Int[Tensor, "n window"], settings: AWQ
) -> dict[str, float]:
    """Fold AWQ's scales into a Llama-shaped model, in one pass; return each α by name.

    All windows go through together; a layer's inputs are divided by s as it arrives, so
    that what follows sees what it always saw. ValueError where the model has no such
    blocks.
    """
    modules, alphas = dict(model.named_modules()), {}
    plans = _plans(modules)
    bar = iter(progress(plans, "scaling"))
    head = model.config.head_dim
    current: list[Tensor] = []  # the inputs now being scaled, and what replaces them

    def arrive(layer: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
        x = args[0]
        if layer in first:
            next(bar)
            name, source, readers = first[layer]
            s, alphas[name] = _fold(x, modules[source], readers, head, settings)
            current[:] = [x, x / s]
        return (current[1],)

    first = {}
    handles = []
    for source, names in plans:
        readers = [modules[name] for name in names]
        first[readers[0]] = (names[0], source, readers)
        handles += [reader.register_forward_pre_hook(arrive) for reader in readers]
    try:
        getattr(model, "base_model", model)(windows, use_cache=False)
    finally:
        bar.close()
        for handle in handles:
            handle.remove()
    return alphas


def _plans(modules: dict[str, nn.Module]) -> list[tuple[str, tuple[str, ...]]]:
    """(source, readers) by full names, block after block."""
    blocks = [
        name.removesuffix(FOLDS[0][0])
        for name in modules
        if name.endswith(f".{FOLDS[0][0]}")
    ]
    plans = [
        (block + source, tuple(block + reader for reader in readers))
        for block in blocks
        for source, readers in FOLDS
    ]
    for source, readers in plans:
        for name in (source, *readers):
            if name not in modules:
                raise ValueError(f"no layer {name}: AWQ's folds are for Llama's blocks")
    if not plans:
        raise ValueError(f"no block has a {FOLDS[0][0]}: the model is not Llama-shaped")
    return plans


def _fold(
    x: Float[Tensor, "... cols"],
    source: nn.Module,
    readers: list[nn.Linear],
    head: int,
    settings: AWQ,
) -> tuple[Float[Tensor, " cols"], float]:
    """Find s for the layers that read `x`; multiply them, and divide their source."""
    inputs = Hessian(x.shape[-1])
    inputs.add(x)
    w = torch.cat([reader.weight for reader in readers])
    made = source.weight.shape[0]  # fewer than cols where query heads share a value
    copies = inputs.magnitude.view(-1, x.shape[-1] // made, min(head, made))
    magnitude = copies.mean(1, keepdim=True).expand_as(copies).flatten()
    s, alpha = awq_scales(w, inputs.matrix, magnitude, settings)
    for reader in readers:
        reader.weight.mul_(s)
    own = s.view_as(copies)[:, 0].flatten()
    source.weight.div_(own if source.weight.ndim == 1 else own[:, None])
    if getattr(source, "bias", None) is not None:
        source.bias.div_(own)
    return s, alpha
