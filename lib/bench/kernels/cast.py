"""Casts of bf16 to small formats and back, beside eager PyTorch, its FP8, and torchao.

The eager baselines are `round_to` as it is, and for blocks the same equations in
float32, for `round_to_blocks` checks its input on the CPU and no graph can hold that.
torch's own FP8 moves 6 bytes a value, ours 4: it writes and reads the codes, and does
no more.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lib.bench.kernels.rows import Calls, Row, measured
from lib.bench.timing import copies_past_cache
from lib.formats import (
    FP4_E2M1,
    FP8_E4M3,
    FP32,
    MXFP4,
    MXFP8_E4M3,
    NVFP4,
    BlockFormat,
    round_to,
)
from lib.formats.floating import power_of_two_below
from lib.kernels.cast import fake_blocks, fake_cast
from lib.kernels.cast.codes import cast_codes, codes_reference
from lib.kernels.cast.philox import uniforms
from lib.kernels.cast.rounding import blocks_reference, cast_reference

TOKENS = (1,)  # there are none
SEED = 1


def eager_blocks(x: Tensor, fmt: BlockFormat) -> Tensor:
    """The equations of lib/formats/microscaling.py in float32, without its checks."""
    runs = x.float().unflatten(-1, (-1, fmt.block))
    largest = runs.abs().amax(-1, keepdim=True)
    if fmt.scale is None:
        s = power_of_two_below(largest, FP32) * 2.0**-fmt.element.max_exponent
    else:
        t = largest.amax() / (fmt.element.max * fmt.scale.max)
        s = round_to(largest / fmt.element.max / t, fmt.scale, overflow="saturate")
        s = s.clamp_(min=fmt.scale.smallest_subnormal) * t
    c = round_to(runs / s, fmt.element, overflow="saturate")
    return (c * s).flatten(-2).to(x.dtype)


def torch_fp8(x: Tensor) -> Tensor:
    """PyTorch's own cast there and back, which saturates too."""
    return x.to(torch.float8_e4m3fn).to(x.dtype)


def torchao(x: Tensor, fmt: BlockFormat) -> Tensor:
    """What torchao 0.18 does to an activation: codes, and back."""
    if fmt.scale is not None:
        from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor

        t = x.abs().amax().float() / (fmt.element.max * fmt.scale.max)
        return NVFP4Tensor.to_nvfp4(x, per_tensor_scale=t).dequantize(x.dtype)
    from torchao.prototype.mx_formats.mx_tensor import to_dtype, to_mx

    four = fmt.element is FP4_E2M1
    kind = torch.float4_e2m1fn_x2 if four else torch.float8_e4m3fn
    scale, codes = to_mx(x, kind, fmt.block)
    return to_dtype(codes, scale, kind, fmt.block, x.dtype)


def torchao_fp4(x: Tensor) -> Tensor:
    """torchao's codes, two a byte."""
    from torchao.prototype.mx_formats.kernels import f32_to_f4_unpacked, pack_uint4

    return pack_uint4(f32_to_f4_unpacked(x.float()))


Ways = dict[str, Callable[[Tensor], Tensor]]


def cases() -> Iterator[tuple[str, float, Ways]]:
    """A name, bytes a value in bf16, and ways: ours, the exact one, the baselines."""
    for fmt in (FP8_E4M3, FP4_E2M1):
        ways: Ways = {
            "ours": lambda x, f=fmt: fake_cast(x, f, overflow="saturate"),
            "exact": lambda x, f=fmt: cast_reference(x, f, "saturate"),
            "eager": lambda x, f=fmt: round_to(x, f, overflow="saturate"),
        }
        yield fmt.name, 4, ways | ({"torch": torch_fp8} if fmt is FP8_E4M3 else {})
    random = {"rounding": "stochastic", "overflow": "saturate"}
    yield (
        "FP8 E4M3 random",
        4,
        {
            "ours": lambda x: fake_cast(x, FP8_E4M3, seed=SEED, **random),
            "exact": lambda x: cast_reference(
                x, FP8_E4M3, "saturate", uniforms(SEED, x.numel(), x.device)
            ),
            "eager": lambda x: round_to(x, FP8_E4M3, **random),
        },
    )
    for fmt, baselines in (
        (FP8_E4M3, {"torch": lambda x: x.to(torch.float8_e4m3fn).view(torch.uint8)}),
        (FP4_E2M1, {"torchao": torchao_fp4}),
    ):
        ways = {
            "ours": lambda x, f=fmt: cast_codes(x, f, overflow="saturate"),
            "exact": lambda x, f=fmt: codes_reference(x, f, "saturate"),
        }
        yield f"{fmt.name} codes", 2 + fmt.bits / 8, ways | baselines
    for fmt in (MXFP8_E4M3, MXFP4, NVFP4):
        ways = {
            "ours": lambda x, f=fmt: fake_blocks(x, f),
            "exact": lambda x, f=fmt: blocks_reference(x, f),
            "eager": lambda x, f=fmt: eager_blocks(x, f),
            "torchao": lambda x, f=fmt: torchao(x, f),
        }
        yield fmt.name, 4 if fmt.scale is None else 6, ways


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every format at every size, in bf16; ours is right if it is so bit for bit."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for n, k in sizes:
        copies = range(copies_past_cache(2 * n * k))
        some = [torch.randn(n, k, device=device).bfloat16() for _ in copies]
        for name, per_value, ways in cases():

            def calls(way: Callable[[Tensor], Tensor], some: list = some) -> Calls:
                return [lambda x=x: way(x) for x in some]

            exact = ways["exact"](some[0]).double()
            baselines = {
                name: lambda w=way: calls(w)
                for name, way in ways.items()
                if name not in ("ours", "exact")
            }
            row = Row(name, 0, n, k, int(per_value * n * k))
            yield measured(row, calls(ways["ours"]), exact, 0.0, baselines)
