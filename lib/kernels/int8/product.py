"""y = X Ŵᵀ + b as LLM.int8() has it: outlier columns in 16 bits, all others in int8.

    y[m, n] = s_w[n] (s_x[m] Σ_k q_x[m, k] q_w[n, k] + Σ_{j ∈ O} x[m, j] q_w[n, j]) + b

    O = {j : some |x[m, j]| >= threshold}    q_x = round(x / s_x), in O 0    s = C / 127

C is the largest |x| of a token outside O, the largest |w| of a row. Bytes: N K of
codes, 4 N of C, 2 M K of x, 2 M N of y: half of fp16's. The M K bytes of q_x
are written and read again.

The codes are those of lib.quant.outliers.int8 bit for bit, and their sums are exact in
int32; so the error does not grow with K. It is at most (|O| + 10) 2⁻²⁴ of what the
sizes of s_w s_x Σ, of the outliers' products and of b add up to, and one rounding to
the dtype of x.

How many outliers there are never leaves the GPU. Infinity and NaN reach every
threshold: they spoil their own token, and no other.

Read in order: `Int8Matrix`, `int8_reference`, the kernels in product_triton.py,
`coded`, `launch`, `int8_linear`. Taught in notebooks/16.
Source: Dettmers et al. 2022, arXiv:2208.07339.
"""

from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float, Float32, Int8, Int32
from torch import Tensor

from lib.kernels.core.compiler import pdl_options, require_triton, widened
from lib.kernels.core.entry import checked_activations
from lib.kernels.core.tiles import Tile, inside, look_up, num_sms, power_above
from lib.kernels.int8.product_triton import encode as _encode
from lib.kernels.int8.product_triton import mark as _mark
from lib.kernels.int8.product_triton import naive as _naive
from lib.kernels.int8.product_triton import skinny as _skinny
from lib.kernels.int8.product_triton import wide as _wide
from lib.quant.outliers.int8 import THRESHOLD, int8_product, quantize_rows

MAX_COLUMNS = (2**31 - 1) // 127**2  # whose products int32 can add
FEW = 4  # up to so many tokens, all programs read all of x instead of flags
SKINNY = 64  # up to so many tokens one program sums all columns
BLOCK = 128  # columns a turn: a line of the cache
COLUMNS = 16  # of the outliers a turn: the least that the matrix unit takes
GROUP = 8  # blocks of tokens that programs share before they go on to other rows
BUFFERS = 200 << 10  # bytes of codes that a multiprocessor may have on their way


@dataclass(frozen=True, eq=False)
class Int8Matrix:
    """Codes -127 … 127, and C = max|w| of each row.

    ValueError for more columns than int32 can add products of.
    """

    codes: Int8[Tensor, "rows cols"]
    absmax: Float32[Tensor, " rows"]

    def __post_init__(self):
        if self.codes.shape[1] > MAX_COLUMNS:
            raise ValueError(
                f"{self.codes.shape[1]} columns: int32 adds the products of at most "
                f"{MAX_COLUMNS}"
            )

    @property
    def nbytes(self) -> int:
        """Bytes of codes and of C."""
        return self.codes.nbytes + self.absmax.nbytes

    def to(self, device: torch.device | str) -> "Int8Matrix":
        """The same matrix elsewhere."""
        return Int8Matrix(self.codes.to(device), self.absmax.to(device))


def pack_int8(w: Float[Tensor, "rows cols"]) -> Int8Matrix:
    """W in int8, as lib.quant.outliers.int8 rounds it.

    ValueError for no elements, for NaN and infinity, and for too many columns.
    """
    return Int8Matrix(*quantize_rows(w))


def int8_reference(
    x: Float[Tensor, "m cols"],
    w: Int8Matrix,
    *,
    threshold: float = THRESHOLD,
    bias: Float[Tensor, " rows"] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "m rows"]:
    """The equation, with sums in `dtype`; y in the dtype of x."""
    if not len(x):
        return x.new_empty(0, len(w.codes))
    values = x.float()
    outliers = (~(values.abs() < threshold)).any(0).nonzero().flatten()
    codes, absmax = quantize_rows(values.index_fill(1, outliers, 0))
    y = int8_product(codes, w.codes).to(dtype) * (absmax.to(dtype) / 127)[:, None]
    y += values[:, outliers].to(dtype) @ w.codes[:, outliers].T.to(dtype)
    y *= w.absmax.to(dtype) / 127
    return (y if bias is None else y + bias.to(dtype)).to(x.dtype)


def coded(
    x: Float[Tensor, "m cols"], threshold: float
) -> tuple[Int8[Tensor, "m cols"], Float32[Tensor, " m"], Int32[Tensor, " found"]]:
    """Codes of x, C of each token, and the outlier columns, after how many there are.

    Columns ascend. What follows them in the list means nothing: nobody wrote it.
    Only kernels do this: x is on a GPU, or Triton interprets them.
    """
    m, k = x.shape
    found = x.new_empty(1 + k, dtype=torch.int32)
    codes = x.new_empty(m, k, dtype=torch.int8)
    absmax = x.new_empty(m, dtype=torch.float32)
    flags, few = x, power_above(m) if m <= FEW else 0
    if not few:
        tokens, cols = 64, 128
        shared = m > tokens
        flags = (x.new_zeros if shared else x.new_empty)(k)
        grid = (-(-k // cols), -(-m // tokens))
        block = {"SHARED": shared, "TOKENS": tokens, "COLS": cols}
        block |= pdl_options(x, followed=True)
        _mark[grid](x, flags, threshold, m, k, **block)
    width = min(4096, power_above(k))
    _encode[(m + 1,)](
        x,
        flags,
        threshold,
        codes,
        absmax,
        found,
        m,
        k,
        FEW=few,
        BLOCK=width,
        num_warps=max(1, width // 256),  # 8 values a thread: 16 bytes of fp16
        enable_fp_fusion=False,  # x · 127/C is rounded before it is a code
        **pdl_options(x, follows=not few, followed=True),
    )
    return codes, absmax, found


def int8_tile(x: Float[Tensor, "m cols"], w: Int8Matrix) -> Tile:
    """The measured tile, or one that occupies every multiprocessor.

    Both were found with 16-bit x: in float32 256 tokens are more than registers hold.
    """
    rows, cols = w.codes.shape
    measured = look_up("int8", x, rows, cols)
    tile = measured or _rule(len(x), rows, cols, num_sms(x))
    if x.element_size() == 4 and tile.batch > 128:
        return replace(tile, batch=128, stages=4)
    return tile


@cache
def _rule(m: int, rows: int, cols: int, num_sms: int) -> Tile:
    if m <= SKINNY:
        tall, batch = 16 if m <= 16 else 32, power_above(m)
        splits = min(8 if m <= 16 else 4, max(2, power_above(-(-cols // BLOCK))))
        programs = -(-rows // tall)
        each = BUFFERS // max(1, min(2, -(-programs // num_sms)))
        stages = max(2, min(4, 1 + each // (splits * BLOCK * (tall + batch))))
        return inside(tall, batch, splits, stages)
    for tile in (Tile(128, 256, warps=8, stages=3), Tile(128, 128, warps=8, stages=4)):
        if -(-rows // tile.rows) * -(-m // tile.batch) >= num_sms:
            return tile
    return Tile(64, 64)


def launch(
    x: Float[Tensor, "m cols"],
    w: Int8Matrix,
    tile: Tile | None = None,
    *,
    threshold: float = THRESHOLD,
    bias: Float[Tensor, " rows"] | None = None,
    naive: bool = False,
) -> Float[Tensor, "m rows"]:
    """y by the kernels, in the dtype of x: where x lives, in the given tile.

    ImportError without Triton; ValueError where no kernel reaches x.
    """
    require_triton(x)
    (m, k), n = x.shape, len(w.codes)
    if not m:
        return x.new_empty(0, n)
    tile, dtype = tile or int8_tile(x, w), x.dtype
    x = x.contiguous().to(widened(dtype))
    y = x.new_empty(m, n)
    some_bias = w.absmax if bias is None else bias.contiguous().to(x.dtype)
    matrices = (x, *coded(x, threshold), w.codes, w.absmax, some_bias, y, m, n, k)
    block = {"BIAS": bias is not None}
    if naive:
        _naive[(n, m)](*matrices, BLOCK=BLOCK, num_warps=1, **block)
        return y.to(dtype)
    block |= {"ROWS": tile.rows, "BATCH": tile.batch, "STAGES": tile.stages}
    block |= {"BLOCK": BLOCK, "COLUMNS": COLUMNS}
    block |= {"num_warps": tile.warps, "num_stages": tile.stages}
    block |= pdl_options(x, follows=True)
    grid = tile.grid(n, m)
    if tile.inside:
        seamless = k % (BLOCK * tile.splits) == 0
        _skinny[grid](*matrices, SEAMLESS=seamless, SPLITS=tile.splits, **block)
    else:
        _wide[grid](*matrices, SEAMLESS=k % BLOCK == 0, GROUP=GROUP, **block)
    return y.to(dtype)


def int8_linear(
    x: Float[Tensor, "*batch cols"],
    w: Int8Matrix,
    *,
    threshold: float = THRESHOLD,
    bias: Float[Tensor, " rows"] | None = None,
) -> Float[Tensor, "*batch rows"]:
    """y = X Ŵᵀ + b in the dtype of x: on a GPU the kernels, on a CPU the reference.

    An outlier of any token counts for all of them. ValueError for another dtype than
    fp16, bf16 or float32, other columns, another device, a bias unlike y, a threshold
    that is not positive, or where a gradient is wanted: these kernels only infer.
    """
    flat = checked_activations(x, w.codes.shape[1], w.codes.device)
    if not threshold > 0:
        raise ValueError(f"threshold={threshold} is not positive")
    if bias is not None and (bias.dtype, bias.device) != (x.dtype, x.device):
        raise ValueError(
            f"the bias is {bias.dtype} on {bias.device}, x {x.dtype} on {x.device}"
        )
    if bias is not None and bias.shape != w.absmax.shape:
        raise ValueError(f"a bias of {len(bias)} for {len(w.codes)} rows")
    y = torch.ops.llm_compression.int8_linear(flat, w.codes, w.absmax, bias, threshold)
    return y.view(*x.shape[:-1], y.shape[1])


torch.library.define(
    "llm_compression::int8_linear",
    "(Tensor x, Tensor codes, Tensor absmax, Tensor? bias, float threshold) -> Tensor",
)


@torch.library.impl("llm_compression::int8_linear", "CPU")
def _on_cpu(x: Tensor, codes: Tensor, absmax: Tensor, bias, threshold) -> Tensor:
    w = Int8Matrix(codes, absmax)
    return int8_reference(x, w, threshold=threshold, bias=bias)


def _on_cuda(x: Tensor, codes: Tensor, absmax: Tensor, bias, threshold) -> Tensor:
    return launch(x, Int8Matrix(codes, absmax), threshold=threshold, bias=bias)


torch.library.impl("llm_compression::int8_linear", "CUDA", _on_cuda)


@torch.library.register_fake("llm_compression::int8_linear")
def _shape_only(x: Tensor, codes: Tensor, absmax: Tensor, bias, threshold) -> Tensor:
    return x.new_empty(x.shape[0], codes.shape[0])
