"""QLoRA: LoRA beside weights that stay in four bits, forward and backward.

    Y = X · doubleDequant(c₁, c₂, W) + s X L₁ L₂
    doubleDequant(c₁, c₂, W) = dequant(dequant(c₁, c₂), W)

Nothing learns inside W, so the codes never change; the chain rule needs Ŵ once more,
for ∂L/∂X = G Ŵ + s (G L₂ᵀ) L₁ᵀ. Autograd would keep Ŵ from the forward pass to the
backward one: 4 bytes a weight of every layer at once. Here both passes dequantize it
anew, and what lies between them is the codes, which are there anyhow, and X.

Guarantee: the same bits as autograd through Ŵ, and Ŵ of at most one layer at a time.
Read in order: `double_dequant`, `QLoRAProduct`, `QLoRALinear`, `add_adapters`. Taught
in notebooks/10.
Source: Dettmers et al. 2023, arXiv:2305.14314, section 3, equations 5 and 6.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lib.layers.packed import PackedLinear
from lib.models.quantize import Report, quantize_model
from lib.models.walk import replace_layer
from lib.quant.codebooks.double import DoubleScales, dequantize_scales
from lib.quant.codebooks.normal_float import FourBit, NormalFloat, dequantize_4bit
from lib.train.lora import (
    LoRA,
    LoRALinear,
    add_low_rank_,
    initial,
    low_rank_gradients,
)

NF4 = NormalFloat(kind="nf4", double=True)


def double_dequant(
    c1: Float[Tensor, " nested_blocks"], c2: DoubleScales, w: FourBit
) -> Float[Tensor, "..."]:
    """dequant(dequant(c₁, c₂), W): scales of the scales, then scales, then weights.

    c₁ are one float32 for 256 scales, c₂ the scales in 8 bits, w the weights in 4.
    """
    scales = dequantize_scales(DoubleScales(c2.codes, c1, c2.mean, c2.block))
    return dequantize_4bit(FourBit(w.packed, scales, w.kind, w.block, w.shape, w.dtype))


class QLoRAProduct(torch.autograd.Function):
    """(x, dropout(x), A, B, s, layer) -> Ŵ x + b + s B A dropout(x).

    Saves x' = dropout(x), A and B; the layer only by name. Gradients of x, x', A, B.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "*batch inputs"],
        dropped: Float[Tensor, "*batch inputs"],
        A: Float[Tensor, "rank inputs"],
        B: Float[Tensor, "outputs rank"],
        scale: float,
        layer: PackedLinear,
    ) -> Float[Tensor, "*batch outputs"]:
        """Ŵ lives as long as its product takes."""
        ctx.save_for_backward(dropped, A, B)
        ctx.scale, ctx.layer, ctx.one_path = scale, layer, dropped is x
        y = nn.functional.linear(x, layer.weight_matrix(x.dtype), layer.bias)
        return add_low_rank_(y, dropped, A, B, scale)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, g: Float[Tensor, "*batch outputs"]
    ) -> tuple[Tensor | None, Tensor | None, Tensor, Tensor, None, None]:
        """Dequantize again: ∂L/∂x = Ŵᵀ g beside the adapter's three gradients."""
        dropped, A, B = ctx.saved_tensors
        by_x = g @ ctx.layer.weight_matrix(g.dtype) if ctx.needs_input_grad[0] else None
        onto = by_x if ctx.one_path else None
        by_dropped, by_A, by_B = low_rank_gradients(
            dropped, A.to(g), B.to(g), ctx.scale, g, onto=onto
        )
        if onto is not None:
            by_dropped = None  # by_x has it
        return by_x, by_dropped, by_A.to(A), by_B.to(B), None, None


class QLoRALinear(LoRALinear):
    """LoRA over a `PackedLinear`, whatever method packed it."""

    base: PackedLinear

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "..."]:
        """As `LoRALinear`; Ŵ does not stay for the backward pass."""
        if not (self.enabled and torch.is_grad_enabled()):
            return super().forward(x)
        adapter = self.lora_A, self.lora_B, self.scale
        return QLoRAProduct.apply(x, self.dropped(x), *adapter, self.base)


def quantize_base(model: nn.Module, method: NormalFloat = NF4) -> Report:
    """Pack every linear layer but the head, in place: NF4 with double quantization."""
    return quantize_model(model, method)


def add_adapters(model: nn.Module, config: LoRA, *, seed: int = 0) -> None:
    """Freeze the model and put an adapter beside each layer that `config` names.

    In place; over `nn.Linear` LoRA, over `PackedLinear` QLoRA. A is drawn by `seed` in
    the model's order. ValueError where there are adapters already, and where a target
    names no layer.
    """
    if adapters(model):
        raise ValueError(f"the model has {len(adapters(model))} adapters already")
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | PackedLinear) and config.adapts(name)
    }
    for target in config.targets:
        if not any(name == target or name.endswith(f".{target}") for name in layers):
            raise ValueError(f"no linear layer is named {target!r}")
    generator = torch.Generator().manual_seed(seed)
    model.requires_grad_(False)
    for name, base in layers.items():
        outputs, inputs = shape_of(base)
        A, B = initial(inputs, outputs, config.rank, generator)
        attach(model, name, A, B, config)


def attach(model: nn.Module, name: str, A: Tensor, B: Tensor, config: LoRA) -> None:
    """Put the adapter (A, B) beside the layer of this name, on its device."""
    base = model.get_submodule(name)
    device = next(iter([*base.parameters(), *base.buffers()])).device
    kind = QLoRALinear if isinstance(base, PackedLinear) else LoRALinear
    adapted = kind(base, A.to(device), B.to(device), config).train(model.training)
    replace_layer(model, name, adapted)


def shape_of(layer: nn.Linear | PackedLinear) -> tuple[int, int]:
    """(outputs, inputs)."""
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    rows, cols = layer.metadata["shape"]
    return rows, cols


def adapters(model: nn.Module) -> dict[str, LoRALinear]:
    """Every adapted layer, by the name that the layer has without its adapter."""
    return {n: m for n, m in model.named_modules() if isinstance(m, LoRALinear)}


def adapter_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """All A and B by name, in the model's order: what an optimizer gets."""
    return {
        f"{name}.{part}": getattr(layer, part)
        for name, layer in adapters(model).items()
        for part in ("lora_A", "lora_B")
    }


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[nn.Module]:
    """The base model, bit for bit, for the length of a `with` block."""
    layers = adapters(model).values()
    before = [layer.enabled for layer in layers]
    for layer in layers:
        layer.enabled = False
    try:
        yield model
    finally:
        for layer, enabled in zip(layers, before, strict=True):
            layer.enabled = enabled
