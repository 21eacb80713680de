"""FP8: a scale for the tensor, or one for each tile and block.

    s = max|A| over a tile / max of the format        Â = s · fp8(A / s)

Eight bits have too little range for a tensor as it is, and enough for a tile of it.
Three recipes, from coarse to fine:

    by tensor     one s a tensor; E4M3 forward, E5M2 for gradients, which spread wider
    delayed       the same, with the max|A| of the steps before, so that A is read once
    DeepSeek-V3   E4M3 throughout; X and dY in tiles of 1 × 128 along the summed axis,
                  W in blocks of 128 × 128

Guarantee: a scale that is a power of two changes no number that the format holds under
it; a tile's error is at most 2^-4 of each number and 2^-10 of s in E4M3.

Read in order: `cast`, `scaled`, `by_tensor`, `native`, `Delayed`, `deepseek_v3`.
Taught in notebooks/09. Source: Micikevicius et al. 2022, arXiv:2209.05433, section 3;
DeepSeek-AI 2024, arXiv:2412.19437, section 3.3 (tiles, blocks and E4M3 throughout).
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Float32, Shaped
from torch import Tensor
from torch.nn.functional import pad

from lib.formats import BF16, FP8_E4M3, FP8_E5M2, FP32, FloatFormat, round_to
from lib.formats.floating import power_of_two_below
from lib.train.precision.accumulate import promoted
from lib.train.precision.matmul import Operand, Product, Recipe, in_format

TILE = 128
NATIVE = {FP8_E4M3: torch.float8_e4m3fn, FP8_E5M2: torch.float8_e5m2}


def cast(a: Float[Tensor, "*shape"], fmt: FloatFormat) -> Float[Tensor, "*shape"]:
    """`round_to(a, fmt, overflow="saturate")`, by the processor's own cast to FP8.

    ValueError for another format than E4M3 and E5M2.
    """
    if fmt not in NATIVE:
        raise ValueError(f"{fmt.name} is neither E4M3 nor E5M2")
    return a.clamp(-fmt.max, fmt.max).to(NATIVE[fmt]).to(a.dtype)


def largest(
    a: Float[Tensor, "*batch rows summed"], rows: int | None, cols: int | None
) -> Float[Tensor, "*batch high wide"]:
    """max|A| of each tile of rows × cols; None is all of that axis, an end is short."""
    high, wide = a.shape[-2:]
    rows, cols = rows or high, cols or wide
    padded = pad(a.abs(), (0, -wide % cols, 0, -high % rows))
    return padded.unflatten(-1, (-1, cols)).unflatten(-3, (-1, rows)).amax((-3, -1))


def scaled(
    a: Float[Tensor, "*shape"],
    fmt: FloatFormat,
    *,
    rows: int | None = None,
    cols: int | None = None,
    power_of_two: bool = False,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "*shape"]:
    """Â = s · fp8(A / s), a scale for each tile of rows × cols of the last two axes.

    None is all of an axis. `power_of_two` takes the power above s. With a `generator`
    the rounding is stochastic. A tile of zeros stays; one with an infinity or a NaN
    becomes NaN. ValueError for a matrix without numbers, or less than one row or column
    in a tile.
    """
    if (
        a.ndim < 2
        or a.numel() == 0
        or any(n is not None and n < 1 for n in (rows, cols))
    ):
        raise ValueError(f"tiles of {rows} × {cols} out of {tuple(a.shape)}")
    s = largest(a, rows, cols) / fmt.max
    if power_of_two:
        below = power_of_two_below(s, FP32)
        s = torch.where(below == s, s, 2 * below)
    s = torch.where(s == 0, 1.0, s)
    s = s.repeat_interleave(rows or a.shape[-2], -2)[..., : a.shape[-2], :]
    s = s.repeat_interleave(cols or a.shape[-1], -1)[..., : a.shape[-1]]
    if generator is None:
        return cast(a / s, fmt) * s
    how = {"rounding": "stochastic", "overflow": "saturate", "generator": generator}
    return round_to(a / s, fmt, **how) * s


def tiled(fmt: FloatFormat, rows: int | None, cols: int | None, **how) -> Operand:
    """`scaled` as a quantizer."""
    return lambda a: scaled(a, fmt, rows=rows, cols=cols, **how)


def by_tensor() -> Recipe:
    """One scale a tensor: E4M3 forward, E5M2 for dY; results in bf16, dW in fp32."""
    forward, gradient = tiled(FP8_E4M3, None, None), tiled(FP8_E5M2, None, None)
    out = in_format(BF16)
    return Recipe(
        Product(forward, forward, out),
        Product(gradient, forward, out),
        Product(gradient, forward),
    )


def codes(
    a: Float[Tensor, "*batch rows summed"], fmt: FloatFormat
) -> tuple[Shaped[Tensor, "*batch rows summed"], Float32[Tensor, "*batch 1 1"]]:
    """A's FP8 numbers, by rows, and its scale: what `by_tensor` rounds to, as codes."""
    return scaled_codes(a, fmt.max, NATIVE[fmt])


def scaled_codes(
    a: Float[Tensor, "*batch rows summed"], top: float, dtype: torch.dtype
) -> tuple[Shaped[Tensor, "*batch rows summed"], Float32[Tensor, "*batch 1 1"]]:
    """`codes`, without a format's name for it: what a compiler takes."""
    s = a.abs().amax((-2, -1), keepdim=True).float() / top
    s = torch.where(s == 0, 1.0, s)
    return (a / s).clamp(-top, top).to(dtype).contiguous(), s


def scaled_mm(
    a: tuple[Tensor, Tensor],
    b: tuple[Tensor, Tensor],
    *,
    dtype: torch.dtype,
    fast: bool = False,
) -> Float[Tensor, "*batch rows cols"]:
    """s_a s_b (A8 B8ᵀ) by the device's FP8 units, from what `codes` returns.

    `fast` leaves the sums in the units' short registers (accumulate.py). torch wants
    all sizes to be multiples of 16.
    """
    parts = (t.reshape(-1, *t.shape[-2:]) for t in (*a, *b))
    how = {"out_dtype": dtype, "use_fast_accum": fast}
    products = [
        torch._scaled_mm(x, y.t(), scale_a=s[0, 0], scale_b=t[0, 0], **how)
        for x, s, y, t in zip(*parts, strict=True)
    ]
    return torch.stack(products).view(*a[0].shape[:-1], -1)


def native(
    coded: Callable[..., tuple[Tensor, Tensor]] = codes, *, fast: bool = False
) -> Recipe:
    """`by_tensor` in the device's own FP8 products: the same but for the sums' order.

    Fprop and Dgrad are summed into bf16, Wgrad into fp32.
    """
    forward = partial(coded, fmt=FP8_E4M3)
    gradient = partial(coded, fmt=FP8_E5M2)
    narrow = partial(scaled_mm, dtype=torch.bfloat16, fast=fast)
    wide = partial(scaled_mm, dtype=torch.float32, fast=fast)
    return Recipe(
        Product(forward, forward, multiply=narrow),
        Product(gradient, forward, multiply=narrow),
        Product(gradient, forward, multiply=wide),
    )


class Delayed:
    """A quantizer whose scale comes from the largest |A| of the calls before.

    What is beyond it saturates. The first call takes its own. One for each operand of
    each layer; `history` is how many calls it remembers. ValueError below 1.
    """

    def __init__(self, fmt: FloatFormat, history: int = 16) -> None:
        if history < 1:
            raise ValueError(f"{history=}")
        self.fmt, self.history, self.seen = fmt, history, []

    def __call__(self, a: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Â by the scale of the past; then A's own maximum joins it."""
        now = a.abs().amax()
        s = torch.stack(self.seen or [now]).amax() / self.fmt.max
        s = torch.where(s == 0, 1.0, s)
        self.seen = [*self.seen, now][-self.history :]
        return cast(a / s, self.fmt) * s


def deepseek_v3(*, tile: int = TILE, promote: bool = False) -> Recipe:
    """E4M3 by tiles of 1 × `tile` along the summed axis; W by blocks, both ways alike.

    X waits for the backward pass in its tiles of Fprop, and is rounded again across
    them for Wgrad. `promote` adds up as an H100 does, in fp32 every `tile` terms:
    much slower, and to be seen in long sums only.
    """
    run, block = tiled(FP8_E4M3, 1, tile), tiled(FP8_E4M3, tile, tile)
    out, how = in_format(BF16), {}
    if promote:
        how = {"multiply": lambda a, b: promoted(a, b, every=tile)}
    return Recipe(
        Product(run, block, out, **how),
        Product(run, block, out, **how),
        Product(run, run, **how),
        kept=run,
    )
