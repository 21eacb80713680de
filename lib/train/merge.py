"""What becomes of an adapter when training is over: three ways, and what each loses.

    into float    W' = Ŵ + s B A                    exact but for rounding, 16 bits
    into NF4      W' = quantize(Ŵ + s B A)          4 bits, and most of s B A is gone
    beside NF4    y = Ŵ x + s B A x                 4 bits and r (n + m) numbers; exact

A level of NF4 is left only by an update of half the gap to the next one, a tenth of the
block's largest weight or so. An adapter's updates are smaller by orders of magnitude:
rounding puts nearly every weight back where it was. The third way serves the base model
and any number of adapters from one copy of the codes: `without_adapters` of qlora.py.

Read in order: `merge_into_float`, `merge_into_codes`, `Merge`. Taught in notebooks/10.
Source: Dettmers et al. 2023, arXiv:2305.14314, which keeps adapters apart; peft merges
by the second way, and warns.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.layers.packed import PackedLinear
from lib.models.walk import replace_layer
from lib.quant.codebooks.double import DoubleScales
from lib.quant.codebooks.normal_float import FourBit, NormalFloat
from lib.quant.serialize import deserialize
from lib.train.lora import LoRALinear
from lib.train.qlora import adapters


@dataclass(frozen=True)
class Merge:
    """What `merge_into_codes` did: how many codes it changed, and what is left of ΔW.

    `kept` is ⟨ΔW, W' − Ŵ⟩ / ‖ΔW‖², 1 where the update arrived whole and 0 where
    nothing of it did; it is 1 by convention where ΔW is 0 everywhere.
    """

    weights: int
    changed: int
    kept: float


def merge_into_float(model: nn.Module) -> None:
    """Replace each adapted layer by an `nn.Linear` of Ŵ + s B A, in place.

    In the dtype that the base dequantizes to. ValueError where no layer is adapted.
    """
    for name, layer in _adapted(model).items():
        merged = _linear(layer)
        replace_layer(model, name, merged)


def merge_into_codes(model: nn.Module) -> Merge:
    """Quantize Ŵ + s B A again, in place: each adapted layer becomes a `PackedLinear`.

    By the method of its base: the same levels, blocks and kind of constants. ValueError
    where no layer is adapted, or one whose base is in no 4-bit codes.
    """
    layers = _adapted(model)
    for name, layer in layers.items():
        if not isinstance(layer.base, PackedLinear) or "packed" not in _parts(layer):
            raise ValueError(f"{name}'s base is in no 4-bit codes: merge it into float")
    weights = changed = 0
    along = length = 0.0
    for name, layer in layers.items():
        old, update = layer.base.weight_matrix(), layer.update.double()
        again = _method(layer.base).quantize(_linear(layer).weight)
        packed = PackedLinear.from_quantized(again, layer.base.bias, name=name)
        moved = (packed.weight_matrix() - old).double()
        differ = packed.tensors()["packed"] ^ _parts(layer)["packed"]
        weights += moved.numel()
        changed += int((differ & 15).count_nonzero() + (differ >> 4).count_nonzero())
        along += (moved * update).sum().item()
        length += update.square().sum().item()
        replace_layer(model, name, packed)
    return Merge(weights, changed, along / length if length else 1.0)


def _adapted(model: nn.Module) -> dict[str, LoRALinear]:
    if not (layers := adapters(model)):
        raise ValueError("no layer of the model has an adapter")
    return layers


def _method(base: PackedLinear) -> NormalFloat:
    """What made the base's codes."""
    codes: FourBit = deserialize(base.tensors(), base.metadata)
    return NormalFloat(codes.kind, codes.block, isinstance(codes.scales, DoubleScales))


def _parts(layer: LoRALinear) -> dict[str, Tensor]:
    return layer.base.tensors()


@torch.no_grad()
def _linear(layer: LoRALinear) -> nn.Linear:
    """Ŵ + s B A and the bias, frozen."""
    base, packed = layer.base, isinstance(layer.base, PackedLinear)
    w = base.weight_matrix() if packed else base.weight
    rows, cols = w.shape
    merged = nn.Linear(cols, rows, bias=base.bias is not None, device="meta")
    merged.weight = nn.Parameter((w + layer.update).to(w), requires_grad=False)
    if base.bias is not None:
        merged.bias = nn.Parameter(base.bias.detach(), requires_grad=False)
    return merged.train(layer.training)
