"""H ← keep H + gain XᵀX, the second moment of a layer's inputs, in half the products.

    keep = n / (n + N),  gain = 2 / (n + N)     H = (2/n) Σ x xᵀ of n tokens, and N more

Arithmetic is the floor: XᵀX is symmetric, so that T tokens of K features cost T K² of
multiplying and adding instead of 2 T K². Bytes: 2 T K of X, which tiles read again from
the cache, 2 K² of H read below its diagonal and 4 K² written.

Products of fp16 and bf16 are exact in float32, and a number of H errs as a float32 sum,
T 2⁻²⁴ gain Σ |x_i x_j|. A float32 X is cut into three pieces of bf16, which hold it
exactly; six of their nine products are taken, and the others are below 2⁻²² |x_i x_j|.
Nothing is added in an order that chance decides. H is read below its diagonal only, and
comes out symmetric bit for bit.

Read in order: `gram_reference`, the kernels in gram_triton.py, `launch`, `add_gram`.
Source: Frantar et al. 2022, arXiv:2210.17323.
"""

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from lib.kernels.core.compiler import (
    INTERPRETED,
    require_triton,
    runs_on,
    triton,
    widened,
)
from lib.kernels.core.entry import checked_activations
from lib.kernels.core.tiles import Tile, look_up, num_sms
from lib.kernels.hessian.gram_triton import finish as _finish
from lib.kernels.hessian.gram_triton import gram as _gram
from lib.kernels.hessian.gram_triton import naive as _naive
from lib.quant.hessian import gram, upper_gram

SIZE = 128  # of a tile
MIN_TOKENS_PER_SPLIT = 512
MAX_SPLITS = 16
# Writing a tile's sum to memory and reading it again takes as long as multiplying so
# many tokens for the tile.
TOKENS_PER_SUM = 1000


def gram_reference(
    h: Float32[Tensor, "k k"],
    x: Float[Tensor, "tokens k"],
    *,
    keep: float,
    gain: float,
) -> None:
    """The equation by lib.quant, in place."""
    new = gain * upper_gram(x.float())
    if keep:
        new += keep * (h.tril() + h.tril(-1).T)
    h.copy_(new)


def hessian_tile(x: Float[Tensor, "tokens k"]) -> Tile:
    """The measured tile of 16-bit X, or one whose splits take the least time.

    A multiprocessor runs one program at a time, and the launch takes as long as the
    multiprocessor that gets the most programs: ⌈tiles · splits / multiprocessors⌉ of
    them, each over 1 / splits of the tokens. More splits fill the last round better,
    but then every program also writes its sum to memory, and `finish` reads it.
    """
    (tokens, k), wide = x.shape, x.dtype == torch.float32
    if not wide and (tile := look_up("hessian", x, k, k)):
        return tile
    tiles, sms = triangle(-(-k // SIZE)), num_sms(x)

    def time(splits: int) -> float:
        """In units of a program that has all tokens."""
        rounds = -(-tiles * splits // sms) / splits
        sums = tiles * splits * TOKENS_PER_SUM / (sms * max(tokens, 1))
        return rounds + (sums if splits > 1 else 0)

    most = max(1, min(MAX_SPLITS, tokens // MIN_TOKENS_PER_SPLIT))
    splits = min(range(1, most + 1), key=time)
    stages = 4 if splits == 1 and not wide else 3
    return Tile(SIZE, 32 if wide else 64, splits, warps=8, stages=stages)


def triangle(n: int) -> int:
    """Tiles on or below the diagonal of n x n."""
    return n * (n + 1) // 2


def launch(
    h: Float32[Tensor, "k k"],
    x: Float[Tensor, "tokens k"],
    tile: Tile | None = None,
    *,
    keep: float,
    gain: float,
    naive: bool = False,
) -> None:
    """The same by the kernels; a tile has `rows` of H, `batch` tokens a turn.

    ImportError without Triton; ValueError where no kernel reaches x.
    """
    require_triton(x)
    (tokens, k), tile = x.shape, tile or hessian_tile(x)
    x = x.contiguous().to(widened(x.dtype))
    sizes = (tokens, k, keep, gain)
    if naive:
        _naive[(triangle(k),)](h, x, *sizes, BLOCK=128, num_warps=1)
        return
    tiles, splits = triangle(triton.cdiv(k, tile.rows)), tile.splits
    turns = triton.cdiv(tokens, tile.batch * splits)
    to_parts = splits > 1 or x.dtype == torch.float32  # whose pieces fill the registers
    shape = (splits, tiles, tile.rows, tile.rows) if to_parts else (1,)
    parts = h.new_empty(shape)
    _gram[(tiles, splits)](
        h,
        x,
        parts,
        *sizes,
        turns,
        PRECISION="ieee" if INTERPRETED else "bf16x6",
        TO_PARTS=to_parts,
        SIZE=tile.rows,
        TOKENS=tile.batch,
        STAGES=tile.stages,
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    if to_parts:
        options = {"SPLITS": splits, "SIZE": tile.rows, "num_warps": tile.warps}
        _finish[(tiles,)](h, parts, k, keep, gain, **options)


def add_gram(
    h: Float[Tensor, "..."],
    x: Float[Tensor, "*tokens k"],
    *,
    keep: float = 1.0,
    gain: float = 1.0,
) -> None:
    """H ← keep H + gain Σ x xᵀ in place: on a GPU by the kernel, on a CPU as lib.quant.

    `keep=0` ignores what H holds, be it NaN. ValueError for an H that is not float32,
    square and contiguous, and for an x as `int4_product` refuses it.
    """
    k = h.shape[-1]
    if h.shape != (k, k) or h.dtype != torch.float32 or not h.is_contiguous():
        raise ValueError(
            f"H of shape {tuple(h.shape)} and {h.dtype} with strides {h.stride()} "
            "is no contiguous square matrix in float32"
        )
    flat = checked_activations(x, k, h.device)
    torch.ops.llm_compression.add_gram(h, flat, keep, gain)


@gram.register_kernel("cuda")
def gram_on_cuda(x: Float[Tensor, "n f"]) -> Float[Tensor, "f f"]:
    """lib.quant's `gram` by the kernel; of float64, or without Triton, by its own."""
    if x.dtype == torch.float64 or not runs_on(x.device):
        return upper_gram(x if x.dtype == torch.float64 else x.float())
    total = x.new_empty(x.shape[1], x.shape[1], dtype=torch.float32)
    add_gram(total, x, keep=0.0)
    return total.double()


torch.library.define(
    "llm_compression::add_gram",
    "(Tensor(a!) h, Tensor x, float keep, float gain) -> ()",
)


@torch.library.impl("llm_compression::add_gram", "CPU")
def _on_cpu(h: Tensor, x: Tensor, keep: float, gain: float) -> None:
    gram_reference(h, x, keep=keep, gain=gain)


def _on_cuda(h: Tensor, x: Tensor, keep: float, gain: float) -> None:
    launch(h, x, keep=keep, gain=gain)


torch.library.impl("llm_compression::add_gram", "CUDA", _on_cuda)


@torch.library.register_fake("llm_compression::add_gram")
def _in_place(h: Tensor, x: Tensor, keep: float, gain: float) -> None:
    return None
