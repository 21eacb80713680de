"""What a rotated model does while it runs: Hadamard transforms, and rounding.

    down_proj     x ← H x / √n           R4: its weights hold Hᵀ
    attention     q, k ← H q, H k / √n   R3: (H q)·(H k) = n q·k, so scores stay
    any layer     x ← x̂                  a grid for each token
    the cache     k, v ← k̂, v̂            a grid for each token of each head

Rotary embeddings turn keys by their place, so R3 cannot hide in the weights of k_proj.
Keys and values are rounded where attention reads them, with the numbers that a cache
of few bits would give back.

Both are settings and hold no tensor: `Inputs` is a hook, which moves along when a layer
is replaced, and `Reading` a module of the attention. `online_parts` says them in plain
words, for a file, and `install` brings them back.

Read in order: `Inputs`, `set_inputs`, `Reading`, `set_reading`, `online_parts`.
Sources: Ashkboos et al. 2024, "QuaRot", arXiv:2404.00456, section 4; Liu et al. 2024,
"SpinQuant", arXiv:2405.16406, section 3.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from lib.models.llama import FEEDS
from lib.quant.aware.tokens import check_tokens, fake_heads, fake_tokens
from lib.quant.rotations.hadamard import hadamard_transform

ATTENTION = "online"  # transformers' name of our attention, and the part's in a module


@dataclass(frozen=True)
class Inputs:
    """What happens to a layer's inputs: a transform, then `bits` a number (or None).

    ValueError for bits and a clip that `fake_tokens` refuses.
    """

    hadamard: bool = False
    bits: int | None = None
    clip: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what has no grid."""
        check_tokens(self.bits or 8, self.clip)

    def __call__(self, layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The hook: the arguments with the first one changed."""
        x, *others = args
        if self.hadamard:
            x = hadamard_transform(x)
        if self.bits:
            x = fake_tokens(x, self.bits, self.clip)
        return x, *others


def inputs_of(layer: nn.Module) -> Inputs:
    """What happens to this layer's inputs."""
    hooks = layer._forward_pre_hooks.values()
    return next((hook for hook in hooks if isinstance(hook, Inputs)), Inputs())


def set_inputs(layer: nn.Module, inputs: Inputs) -> None:
    """Let that happen to the layer's inputs, and nothing that was set before."""
    for key, hook in list(layer._forward_pre_hooks.items()):
        if isinstance(hook, Inputs):
            del layer._forward_pre_hooks[key]
    if inputs != Inputs():
        layer.register_forward_pre_hook(inputs)


class Reading(nn.Module):
    """Between the rotary embedding and attention: R3, then keys and values rounded.

    `bits` a number of keys and values, or None. ValueError as `Inputs`.
    """

    def __init__(
        self, *, hadamard: bool = False, bits: int | None = None, clip: float = 1.0
    ) -> None:
        super().__init__()
        self.settings = asdict(Inputs(hadamard, bits, clip))

    def forward(
        self,
        q: Float[Tensor, "n heads queries d"],
        k: Float[Tensor, "n kv_heads tokens d"],
        v: Float[Tensor, "n kv_heads tokens d"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What attention gets in their place."""
        bits, clip = self.settings["bits"], self.settings["clip"]
        if self.settings["hadamard"]:
            q, k = hadamard_transform(q), hadamard_transform(k)
        if bits:
            k, v = fake_heads(k, bits, clip), fake_heads(v, bits, clip)
        return q, k, v

    def extra_repr(self) -> str:
        """The settings."""
        return ", ".join(f"{name}={value}" for name, value in self.settings.items())


def readings(model: nn.Module) -> list[Reading]:
    """Every `Reading` of the model."""
    return [module for module in model.modules() if isinstance(module, Reading)]


def attend(module: nn.Module, q: Tensor, k: Tensor, v: Tensor, *args: Any, **kw: Any):
    """Torch's attention, of what the module's `Reading` makes of q, k and v."""
    if (reading := getattr(module, ATTENTION, None)) is not None:
        q, k, v = reading(q, k, v)
    return sdpa_attention_forward(module, q, k, v, *args, **kw)


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def set_reading(model: PreTrainedModel, **settings: Any) -> None:
    """Change these settings of every attention's `Reading`, which it gets if it must.

    ValueError as `Reading`, and for a model without blocks of Llama's names.
    """
    found = {n: m for n, m in model.named_modules() if n.endswith("self_attn")}
    if not found:
        raise ValueError(f"{type(model).__name__} has no module named self_attn")
    for module in found.values():
        before = getattr(module, ATTENTION, None)
        own = {} if before is None else before.settings
        setattr(module, ATTENTION, Reading(**(own | settings)))
    model.set_attn_implementation(ATTENTION)


def round_online(
    model: PreTrainedModel,
    *,
    inputs: int | None = None,
    cache: int | None = None,
    clip: float = 1.0,
    cache_clip: float = 1.0,
) -> None:
    """Round the inputs of a block's linear layers, and keys and values, in place.

    Bits a number, or None to leave them; what is rotated online stays rotated.
    ValueError as `Inputs` and `set_reading`.
    """
    layers = tuple(part for source in FEEDS for part in source[1])
    for name, layer in model.named_modules():
        if name.endswith(layers):
            set_inputs(layer, replace(inputs_of(layer), bits=inputs, clip=clip))
    if cache or readings(model):
        set_reading(model, bits=cache, clip=cache_clip)


def online_parts(model: nn.Module) -> dict[str, dict[str, Any]]:
    """Name → settings of each part that works online, as JSON holds them."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, Reading):
            found[name] = module.settings
        elif (inputs := inputs_of(module)) != Inputs():
            found[name] = asdict(inputs)
    return found


def install(model: nn.Module, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Bring back what `online_parts` said; ValueError for a name that no module has."""
    modules = dict(model.named_modules())
    for name, settings in parts.items():
        parent, _, last = name.rpartition(".")
        if (parent if last == ATTENTION else name) not in modules:
            raise ValueError(f"no module named {name!r} to work online")
        if last == ATTENTION:
            setattr(modules[parent], ATTENTION, Reading(**settings))
            model.set_attn_implementation(ATTENTION)
        else:
            set_inputs(modules[name], Inputs(**settings))
