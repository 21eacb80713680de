"""Ŵ out of the kernels' layout: for products of many tokens, and for the way back.

    ŵ[n, column(p, i)] = s (q - z)  or  c l_q,     q = the code at place i of plane p

Bytes a weight: 1/2 of codes and the scales, and 2 written in 16 bits. A product of
many tokens decodes every weight once for each of its blocks of tokens, or once here.
The float32 product is rounded once: bit for bit what lib.quant dequantizes.

Read in order: `unfold_reference`, the kernels in dense_triton.py, `launch`,
`unfolded`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lib.kernels.core.compiler import INTERPRETED, require_triton, triton, widened
from lib.kernels.core.entry import DTYPES
from lib.kernels.core.planes import planes_of
from lib.kernels.int4.product import Int4
from lib.kernels.nf4.product import Nf4, tables
from lib.kernels.nf4.scales_triton import Scales
from lib.kernels.unfold import dense_triton
from lib.quant.codebooks.normal_float import normal_float_levels

ROWS = 16  # of a program


def unfold_reference(
    w: Int4 | Nf4, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "rows cols"]:
    """Ŵ in `dtype`, multiplied in float32."""
    runs = w.unpacked().unflatten(1, (w.planes.groups, -1))
    if isinstance(w, Int4):
        scale, zero = w.grid()
        runs = (runs.to(torch.int32) - zero[..., None]) * scale.float()[..., None]
    else:
        levels = normal_float_levels().to(runs.device)
        runs = levels[runs.int()] * w.block_scales()[..., None]
    return runs.flatten(1).to(dtype)


def launch(
    w: Int4 | Nf4, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "rows cols"]:
    """The same by a kernel.

    ImportError without Triton; ValueError where no kernel reaches the codes.
    """
    require_triton(w.codes)
    planes, n = w.planes, w.codes.shape[1]
    out = w.codes.new_empty(n, planes.cols, dtype=widened(dtype))
    grid = (triton.cdiv(n, ROWS), planes.chunks)
    sizes = (n, planes.cols, planes.groups)
    options = {"LAYOUT": planes.layout, "ROWS": ROWS}
    options |= {"num_warps": 4, "enable_fp_fusion": False}
    if isinstance(w, Int4):
        options["ZERO_POINT"] = w.constants.dtype == torch.int32
        words = w.constants.view(torch.int32)
        dense_triton.int4[grid](w.codes, words, out, *sizes, **options)
    else:
        dynamic, levels = tables(out.device)
        options |= {"KIND": w.scale_kind, "SHUFFLE": not INTERPRETED}
        scales = Scales(w.scales.view(torch.int32), w.nested, w.mean, dynamic)
        dense_triton.nf4[grid](w.codes, scales, levels, out, *sizes, **options)
    return out.to(dtype)


def unfolded(
    w: Int4 | Nf4, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "rows cols"]:
    """Ŵ in `dtype`: on a GPU by the kernel. ValueError for a dtype none writes."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype} is not one of {', '.join(map(str, DTYPES))}")
    nf4 = isinstance(w, Nf4)
    return torch.ops.llm_compression.unfold(
        w.codes,
        w.scales if nf4 else w.constants,
        w.nested if nf4 else None,
        w.mean if nf4 else None,
        w.nested_block if nf4 else 1,
        w.planes.cols,
        w.planes.group,
        dtype,
    )


torch.library.define(
    "llm_compression::unfold",
    "(Tensor codes, Tensor constants, Tensor? nested, Tensor? mean, int nested_block, "
    "int cols, int group, ScalarType dtype) -> Tensor",
)


def _matrix(codes, constants, nested, mean, nested_block, cols, group) -> Int4 | Nf4:
    planes = planes_of(cols, group)
    if nested is None:
        return Int4(codes, constants, planes)
    return Nf4(codes, constants, nested, mean, planes, nested_block)


@torch.library.impl("llm_compression::unfold", "CPU")
def _on_cpu(*parts) -> Tensor:
    return unfold_reference(_matrix(*parts[:-1]), parts[-1])


def _on_cuda(*parts) -> Tensor:
    return launch(_matrix(*parts[:-1]), parts[-1])


torch.library.impl("llm_compression::unfold", "CUDA", _on_cuda)


@torch.library.register_fake("llm_compression::unfold")
def _shape_only(codes, constants, nested, mean, nested_block, cols, group, dtype):
    return codes.new_empty(codes.shape[1], cols, dtype=dtype)
