"""Move difficulty between activations and weights, through the norm in front of them.

    (g_j s_j) · RMSNorm(h)_j · (W_ij / s_j)  =  g_j · RMSNorm(h)_j · W_ij

A norm's gain g and the columns of the layers that read it can trade any positive factor
s_j a channel, and the model computes what it did. Two uses, each the other's inverse:

- `plant_outliers`: s_j = 64 for a few channels. Activations get the outlier features of
  a model of 6.7 billion parameters; a power of two keeps every logit to the last bit.
- `smooth` (SmoothQuant): 1/s_j = max|X_j|^α / max_i|W_ij|^(1-α). At α = 1/2 the range
  of channel j becomes √(max|X_j| max|W_j|), in the activations and in the weights.

Read in order: `trade`, `norm_groups`, `plant_outliers`, `smoothing_factors`, `smooth`.
Taught in notebooks/04.
Source: Xiao et al. 2023, arXiv:2211.10438, section 4.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.models.walk import stream_inputs


@dataclass(frozen=True, eq=False)
class NormGroup:
    """A norm, and the linear layers that read its output, by name."""

    norm: nn.Module
    linears: dict[str, nn.Linear]


def norm_groups(model: nn.Module) -> dict[str, NormGroup]:
    """Each norm of a Llama-shaped model with its readers: q, k, v, or gate and up.

    ValueError for a model whose layers have other names.
    """
    groups = {}
    for name, module in model.named_modules():
        parts = {key: getattr(module, key, None) for key in ("self_attn", "mlp")}
        if None in parts.values():
            continue
        for part, norm, readers in (
            ("self_attn", "input_layernorm", ("q_proj", "k_proj", "v_proj")),
            ("mlp", "post_attention_layernorm", ("gate_proj", "up_proj")),
        ):
            try:
                linears = {
                    f"{name}.{part}.{reader}": getattr(parts[part], reader)
                    for reader in readers
                }
                groups[f"{name}.{norm}"] = NormGroup(getattr(module, norm), linears)
            except AttributeError as error:
                raise ValueError(f"{name} is not shaped like Llama: {error}") from error
    if not groups:
        raise ValueError(f"{type(model).__name__} has no self_attn beside an mlp")
    return groups


@torch.no_grad()
def trade(
    norm: nn.Module, linears: Iterable[nn.Linear], scale: Float[Tensor, " channels"]
) -> None:
    """Multiply the norm's outputs by `scale`, and divide the readers' columns by it.

    In place. ValueError unless `scale` is positive, finite and one number a channel.
    """
    linears = list(linears)
    for part in (norm, *linears):
        if part.weight.shape[-1] != len(scale):
            raise ValueError(
                f"{len(scale)} scales for the {part.weight.shape[-1]} channels of "
                f"{type(part).__name__}"
            )
    if not (scale.isfinite() & (scale > 0)).all():
        raise ValueError(
            f"scales from {scale.min().item()} to {scale.max().item()} are not all "
            "positive and finite"
        )
    norm.weight.mul_(scale)
    if getattr(norm, "bias", None) is not None:
        norm.bias.mul_(scale)
    for linear in linears:
        linear.weight.div_(scale)


def plant_outliers(
    model: nn.Module,
    channels: Iterable[int] | Int[Tensor, " n"],
    *,
    factor: float = 64.0,
) -> None:
    """Make `channels` outliers after every norm, in place, without changing the model.

    Outlier features of real models share their channels across layers and tokens.
    ValueError for channels that the model lacks, and a factor that is not positive.
    """
    channels = torch.as_tensor(channels, dtype=torch.long)
    for group in norm_groups(model).values():
        width = group.norm.weight.shape[0]
        if not channels.numel() or not 0 <= channels.min() <= channels.max() < width:
            raise ValueError(
                f"channels {channels.tolist()} are not in 0 to {width - 1}"
            )
        scale = torch.ones_like(group.norm.weight)
        scale[channels] = factor
        trade(group.norm, group.linears.values(), scale)


def smoothing_factors(
    x_max: Float[Tensor, " channels"],
    w_max: Float[Tensor, " channels"],
    *,
    alpha: float = 0.5,
) -> Float[Tensor, " channels"]:
    """s_j = max|X_j|^α / max|W_j|^(1-α): divide X by it, multiply W's columns.

    Channels that are dead on either side get 1. ValueError for α outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha} is not in [0, 1]")
    if x_max.shape != w_max.shape:
        raise ValueError(
            f"{len(x_max)} channels of X against {len(w_max)} columns of W"
        )
    alive = (x_max > 0) & (w_max > 0)
    return torch.where(alive, x_max**alpha / w_max ** (1 - alpha), 1.0)


def smooth(
    model: nn.Module, windows: Int[Tensor, "n window"], *, alpha: float = 0.5
) -> None:
    """Fold SmoothQuant's factors into every norm, in place.

    `windows` are calibration tokens: they give max|X_j|.
    """
    groups = norm_groups(model)
    peaks: dict[str, Tensor] = {}

    def watch(name: str):
        def receive(x: Tensor) -> None:
            peak = x.abs().amax(0)
            peaks[name] = torch.maximum(peaks.get(name, peak), peak)

        return receive

    # All readers of a norm see the same inputs: it is enough to watch the first.
    first = {next(iter(group.linears)): name for name, group in groups.items()}
    stream_inputs(model, windows, {layer: watch(name) for layer, name in first.items()})
    for name, group in groups.items():
        weights = torch.cat([linear.weight for linear in group.linears.values()])
        factors = smoothing_factors(peaks[name], weights.abs().amax(0), alpha=alpha)
        trade(group.norm, group.linears.values(), 1 / factors)
