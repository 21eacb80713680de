"""The formats of a linear layer that are timed: ours, bitsandbytes' and torch's.

Read in order: `int4`, `int8`, `nf4`, `TinyGemm`, `FORMATS`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.bench.tokens.models import Maker
from lib.layers.int8 import Int8Linear
from lib.layers.packed import PackedLinear
from lib.quant.codebooks.normal_float import quantize_4bit
from lib.quant.uniform.grouped import round_to_nearest


def int4(layer: nn.Linear) -> nn.Module:
    """Our kernel on symmetric groups of 128 (of 64 where 128 does not divide)."""
    group = 128 if layer.in_features % 128 == 0 else 64
    w = layer.weight.float()
    return PackedLinear.from_quantized(
        round_to_nearest(w, bits=4, group=group, symmetric=True)
    )


def int8(layer: nn.Linear) -> nn.Module:
    """Our kernel on LLM.int8() with threshold 6."""
    return Int8Linear(layer)


def nf4(layer: nn.Linear) -> nn.Module:
    """Our kernel on NF4 with double quantization."""
    return PackedLinear.from_quantized(quantize_4bit(layer.weight.half(), double=True))


def bitsandbytes_nf4(layer: nn.Linear) -> nn.Module:
    """bitsandbytes' layer in NF4 with double quantization, as transformers loads it."""
    from bitsandbytes import nn as bnb

    w = layer.weight
    new = bnb.Linear4bit(*w.T.shape, bias=False, compute_dtype=w.dtype)
    new.weight = bnb.Params4bit(
        w.cpu(), requires_grad=False, quant_type="nf4", compress_statistics=True
    )
    return new.to(w.device)


def bitsandbytes_int8(layer: nn.Linear) -> nn.Module:
    """bitsandbytes' LLM.int8() with threshold 6, as transformers loads it."""
    from bitsandbytes import nn as bnb

    w = layer.weight
    new = bnb.Linear8bitLt(
        *w.T.shape, bias=False, has_fp16_weights=False, threshold=6.0
    )
    new.weight = bnb.Int8Params(
        w.cpu().half(), requires_grad=False, has_fp16_weights=False
    )
    return new.to(w.device)


class TinyGemm(nn.Module):
    """torch's own 4-bit product, in groups of 128 and bf16, which is what it takes."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.group = 128 if layer.in_features % 128 == 0 else 64
        grouped = round_to_nearest(layer.weight.float(), bits=4, group=self.group)
        codes, grid = grouped.codes.to(torch.uint8), grouped.grid
        pairs = codes[:, 0::2] << 4 | codes[:, 1::2]
        inner = 8 if layer.in_features % 128 == 0 else 4
        packed = torch.ops.aten._convert_weight_to_int4pack(pairs, inner)
        scale = grid.scale.T
        middle = (8 - grid.zero.T) * scale  # it adds this to scale * (code - 8)
        both = torch.stack([scale, middle], -1).to(torch.bfloat16).contiguous()
        self.register_buffer("codes", packed)
        self.register_buffer("grids", both)

    def forward(self, x: Float[Tensor, "batch tokens cols"]) -> Float[Tensor, "..."]:
        """y in the dtype of x."""
        rows = x.flatten(0, -2).to(torch.bfloat16)
        y = torch.ops.aten._weight_int4pack_mm(rows, self.codes, self.group, self.grids)
        return y.view(*x.shape[:-1], -1).to(x.dtype)


@dataclass(frozen=True)
class Format:
    """How its layers are made, and whether a graph can hold a step of them."""

    make: Maker | None = None
    graph: bool = True


FORMATS = {
    "fp16": Format(),
    "int4": Format(int4),
    "nf4": Format(nf4),
    "int8": Format(int8),
    "bitsandbytes nf4": Format(bitsandbytes_nf4),
    "bitsandbytes int8": Format(bitsandbytes_int8, graph=False),  # reads a count
    "torch int4": Format(TinyGemm),
}
