"""ŵ = c l_q: an NF4 tensor, as lib.quant packs it, back to 16 or 32 bits.

    ŵ_i = round(c_b l(q_i)),   b = ⌊i / 64⌋,   c = d[r] c₂ + μ with double quantization

Bytes a weight: 1/2 of codes, 1/64 of 8-bit scales (1/16 of float32 ones), and 2
written: three quarters of all traffic is the result, so that no kernel that needs ŵ in
memory can be fast. The float32 product is rounded once: bit for bit `dequantize_4bit`.

Read in order: `launch` (its kernel is in dequantize_triton.py), `nf4_dequantize`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lib.kernels.core.compiler import (
    INTERPRETED,
    pdl_options,
    require_triton,
    triton,
    widened,
)
from lib.kernels.core.entry import DTYPES
from lib.kernels.core.tiles import power_above
from lib.kernels.nf4.dequantize_triton import dequantize as _dequantize
from lib.kernels.nf4.product import tables
from lib.kernels.nf4.scales_triton import Scales
from lib.quant.codebooks.double import DoubleScales
from lib.quant.codebooks.normal_float import FourBit, dequantize_4bit

BYTES = 2048  # that a program reads


def launch(quantized: FourBit) -> Float[Tensor, "..."]:
    """ŵ by the kernel, in the shape and dtype of the original.

    ImportError without Triton; ValueError where no kernel reaches the codes.
    """
    packed, per_block = quantized.packed, quantized.scales
    require_triton(packed)
    dynamic, levels = tables(packed.device)
    nested, mean, nested_block = levels, levels, 1  # read, and not used
    if isinstance(per_block, DoubleScales):
        nested, mean = per_block.scales, per_block.mean
        nested_block, per_block = per_block.block, per_block.codes
    count, half = quantized.shape.numel(), quantized.block // 2
    w = packed.new_empty(quantized.shape, dtype=widened(quantized.dtype))
    width = power_above(half)
    runs = max(1, BYTES // width)
    _dequantize[(triton.cdiv(len(per_block), runs),)](
        packed,
        Scales(per_block, nested, mean, dynamic),
        levels,
        w,
        count,
        len(per_block),
        HALF=half,
        BYTES=width,
        RUNS=runs,
        NESTED=nested_block,
        WHOLE=width == half and count % quantized.block == 0,
        SHUFFLE=not INTERPRETED,
        num_warps=4,
        **pdl_options(packed),
        enable_fp_fusion=False,  # d c₂ + μ rounds twice, as in lib.quant
    )
    return w.to(quantized.dtype)


def nf4_dequantize(quantized: FourBit) -> Float[Tensor, "..."]:
    """ŵ in the shape and dtype of the original: on a GPU by the kernel.

    ValueError for another kind than nf4, or a dtype that no kernel writes.
    """
    if quantized.kind != "nf4":
        raise ValueError(f"kind={quantized.kind!r} is not nf4")
    if quantized.dtype not in DTYPES:
        raise ValueError(f"the original was {quantized.dtype}")
    scales = quantized.scales
    double = isinstance(scales, DoubleScales)
    return torch.ops.llm_compression.nf4_dequantize(
        quantized.packed,
        scales.codes if double else scales,
        scales.scales if double else None,
        scales.mean if double else None,
        quantized.block,
        scales.block if double else 1,
        list(quantized.shape),
        quantized.dtype,
    )


torch.library.define(
    "llm_compression::nf4_dequantize",
    "(Tensor packed, Tensor scales, Tensor? nested, Tensor? mean, int block, "
    "int nested_block, int[] shape, ScalarType dtype) -> Tensor",
)


def _tensor(packed, scales, nested, mean, block, nested_block, shape, dtype) -> FourBit:
    if nested is not None:
        scales = DoubleScales(scales, nested, mean, nested_block)
    return FourBit(packed, scales, "nf4", block, torch.Size(shape), dtype)


@torch.library.impl("llm_compression::nf4_dequantize", "CPU")
def _on_cpu(*parts) -> Tensor:
    return dequantize_4bit(_tensor(*parts))


@torch.library.impl("llm_compression::nf4_dequantize", "CUDA")
def _on_cuda(*parts) -> Tensor:
    return launch(_tensor(*parts))


@torch.library.register_fake("llm_compression::nf4_dequantize")
def _shape_only(packed, scales, nested, mean, block, nested_block, shape, dtype):
    return packed.new_empty(shape, dtype=dtype)
