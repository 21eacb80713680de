"""y = x Ŵᵀ where two of every four weights are kept, in 16 bits or as 4-bit codes.

    y[m, n] = Σ_g  a[n, g] x[m, 4g + first[n, g]] + b[n, g] x[m, 4g + last[n, g]]

Bytes a group of four: 16 bits 4 1/2, codes 1 1/2 and 1/8 of scales (dense 8, and 2 with
int4's scales). For few tokens time is bytes: at most 1.78 times as fast as fp16, codes
1.25 times as fast as int4. A sparse tensor core multiplies half as often, too; here it
multiplies the zeros as well, for at few tokens it waits anyway.

Places lie as four bits, one a column. A *plane* is 16 groups of a row, a *chunk* four
planes, 256 columns:

    weights[c, 2j + h, n, i]  value h of group 16 (4c + j) + i
    weights[c, h, n, i]       of codes: the four planes' in a word, plane j in bits 4j
    places[c, n, i]           the four planes' places in a word, plane j in bits 4j

so that a thread finds what it spreads at the same place of every tile. Columns of a
chunk beyond the last are filled with zeros, and meet an x of 0.

Products are exact, sums in float32: n 2⁻²⁴ Σ |ŵ x|, and one rounding to x's dtype.

Read in order: `Packed`, `pack`, `pack_codes`; `packed_reference`; the kernels in
product_triton.py; `rule`, `launch`, `two_of_four_product`.  Taught in notebooks/11.
Source: Mishra et al. 2021, arXiv:2104.08378, for the pattern; the layout is ours.
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int16, Int32, Shaped
from torch import Tensor

from lib.kernels.core.blocks import summed
from lib.kernels.core.compiler import pdl_options, require_triton, triton, widened
from lib.kernels.core.entry import checked_activations
from lib.kernels.core.tiles import Tile, inside, look_up, power_above
from lib.kernels.two_of_four.product_triton import deal as _deal
from lib.kernels.two_of_four.product_triton import naive as _naive
from lib.kernels.two_of_four.product_triton import skinny as _skinny
from lib.kernels.two_of_four.product_triton import wide as _wide
from lib.kernels.two_of_four.storage import (
    TwoOfFour,
    compress_reference,
)
from lib.quant.uniform.grouped import Grouped

GROUPS, PLANES = 16, 4  # of a plane, of a chunk
COLS_PER_CHUNK = 4 * GROUPS * PLANES
COLS_PER_SCALE = 4 * GROUPS
SKINNY = 16  # up to so many tokens one program sums all columns
DEAL = 256  # groups that one program deals


@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix in the kernels' layout; without scales its weights are values."""

    weights: Shaped[Tensor, "chunks tiles rows length"]
    places: Int16[Tensor, "chunks rows length"]
    scales: Int32[Tensor, "chunks rows two"] | None
    cols: int

    @property
    def nbytes(self) -> int:
        """Bytes of weights, places and scales."""
        scales = 0 if self.scales is None else self.scales.nbytes
        return self.weights.nbytes + self.places.nbytes + scales

    def to(self, device: torch.device | str) -> "Packed":
        """The same matrix elsewhere."""
        scales = None if self.scales is None else self.scales.to(device)
        return Packed(
            self.weights.to(device), self.places.to(device), scales, self.cols
        )

    def unpacked(
        self, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "rows cols"]:
        """ŵ in `dtype`, zeros where nothing was kept."""
        pair = _from_planes(self.weights, coded=self.scales is not None)
        bits = (
            _from_words(self.places)[..., None] >> torch.arange(4).to(pair.device) & 1
        )
        pair = pair.to(dtype)
        if self.scales is not None:
            scale = self.scales.view(torch.float16).to(dtype)  # (chunks, rows, 4)
            scale = scale.transpose(0, 1).flatten(1).repeat_interleave(GROUPS, 1)
            pair = pair * scale[..., None]
        order = (bits.cumsum(-1) - 1).clamp(0, 1)  # which of the two stands there
        w = pair.gather(2, order) * bits
        return w.flatten(1)[:, : self.cols]


def _planes(
    t: Shaped[Tensor, "rows groups"],
) -> Shaped[Tensor, "chunks four rows length"]:
    """A number a group, cut into planes; 0 beyond the last group."""
    spare = -t.shape[1] % (GROUPS * PLANES)
    cut = torch.nn.functional.pad(t, (0, spare)).unflatten(1, (-1, PLANES, GROUPS))
    return cut.permute(1, 2, 0, 3)


def _words(t: Shaped[Tensor, "rows groups"]) -> Int16[Tensor, "chunks rows length"]:
    """Four bits a group, four planes a word."""
    shift = 4 * torch.arange(PLANES, device=t.device)[:, None, None]
    return (_planes(t).int() << shift).sum(1).to(torch.int16).contiguous()


def _from_words(words: Int16[Tensor, "chunks rows length"]) -> Tensor:
    """The four bits of every group that `_words` took, (rows, groups)."""
    shift = 4 * torch.arange(PLANES, device=words.device)[:, None]
    return (words[:, :, None].int() >> shift & 15).transpose(0, 1).flatten(1).long()


def _from_planes(weights: Tensor, *, coded: bool) -> Tensor:
    """Both kept values, or levels, of every group: (rows, groups, 2)."""
    if coded:
        both = [(_from_words(h) ^ 8) - 8 for h in weights.unbind(1)]
        return torch.stack(both, -1)
    cut = weights.unflatten(1, (PLANES, 2)).permute(3, 0, 1, 4, 2)
    return cut.flatten(1, 3)


def _places(indices: Tensor) -> Tensor:
    """Bits of both kept columns of every group, from the nibbles of `TwoOfFour`."""
    nibble = torch.stack((indices & 15, indices >> 4), -1).flatten(1).int()
    return 1 << (nibble & 3) | 1 << (nibble >> 2)


def pack(kept: TwoOfFour) -> Packed:
    """The kernels' layout of what is kept, in its dtype.

    ValueError for so many weights that offsets exceed 32 bits.
    """
    rows, half = kept.values.shape
    _check_offsets(rows, 2 * half)
    pair = kept.values.unflatten(1, (-1, 2))
    planes = torch.stack([_planes(pair[..., h]) for h in (0, 1)], 2)
    return Packed(
        planes.flatten(1, 2).contiguous(), _words(_places(kept.indices)), None, 2 * half
    )


def pack_codes(grouped: Grouped) -> Packed:
    """The kernels' layout of symmetric 4-bit codes of which two of four are not 0.

    In groups of 64 columns, or a multiple of it. ValueError for other groups, for more
    bits or zero points, an act-order, scales beyond fp16, and three of four codes that
    are not 0.
    """
    grid, (rows, cols) = grouped.grid, grouped.codes.shape
    group = cols // grid.scale.shape[1]
    if group % COLS_PER_SCALE or grouped.order is not None:
        raise ValueError(f"groups of {group} columns are no multiple of 64 in order")
    if grid.low < -8 or grid.high > 7 or grid.zero.any():
        raise ValueError(f"codes {grid.low} to {grid.high} are not symmetric in 4 bits")
    scale = grid.scale.half().expand(rows, -1)
    if not scale.isfinite().all():
        raise ValueError(f"a scale of {grid.scale.max().item():.3g} exceeds fp16")
    codes = grouped.codes.float()
    most = int((codes.unflatten(1, (-1, 4)) != 0).sum(-1).max())
    if most > 2:
        raise ValueError(f"{most} of four neighbours are kept, not two")
    _check_offsets(rows, cols)
    values, indices = compress_reference(codes, torch.ones(cols, device=codes.device))
    pair = values.unflatten(1, (-1, 2)).int() & 15
    weights = torch.stack([_words(pair[..., h]) for h in (0, 1)], 1)
    scale = scale.repeat_interleave(group // COLS_PER_SCALE, 1)
    spare = -scale.shape[1] % PLANES
    scale = torch.nn.functional.pad(scale, (0, spare)).unflatten(1, (-1, PLANES))
    scale = scale.transpose(0, 1).contiguous().view(torch.int32)
    return Packed(weights, _words(_places(indices)), scale, cols)


def _check_offsets(rows: int, cols: int) -> None:
    if rows * (cols + COLS_PER_CHUNK) >= 2**31:
        raise ValueError(f"{rows} x {cols} weights are too many for 32-bit offsets")


def packed_reference(
    x: Float[Tensor, "m cols"], w: Packed, *, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "m rows"]:
    """The equation, in `dtype`; y in the dtype of x."""
    return (x.to(dtype) @ w.unpacked(dtype).T).to(x.dtype)


def product_tile(x: Float[Tensor, "m cols"], w: Packed) -> Tile:
    """The measured tile, or the rule's."""
    rows, chunks = w.weights.shape[2], len(w.weights)
    operation = "two_of_four" if w.scales is None else "two_of_four_codes"
    measured = look_up(operation, x, rows, w.cols) if x.element_size() == 2 else None
    return measured or rule(len(x), chunks)


@cache
def rule(m: int, chunks: int) -> Tile:
    """A tile for m tokens, without a measurement."""
    if m <= SKINNY:
        splits = max(2, min(4, power_above(chunks)))
        return inside(32, max(2, power_above(m)), splits, stages=2)
    return Tile(64, min(64, power_above(m)), warps=4, stages=3)


def launch(
    x: Float[Tensor, "m cols"],
    w: Packed,
    tile: Tile | None = None,
    *,
    naive: bool = False,
) -> Float[Tensor, "m rows"]:
    """y by a kernel, in the dtype of x: where x lives, in the given tile.

    ImportError without Triton; ValueError where no kernel reaches x.
    """
    require_triton(x)
    tile, dtype = tile or product_tile(x, w), x.dtype
    x, (m, k), n = x.contiguous().to(widened(dtype)), x.shape, w.weights.shape[2]
    weights = w.weights.to(x.dtype) if w.scales is None else w.weights
    scales, chunks = weights if w.scales is None else w.scales, len(weights)
    pdl = pdl_options(x)
    turns = -(-chunks // tile.splits) * tile.splits  # so that every warp has an x
    groups = turns * PLANES * GROUPS
    dealt = x.new_empty(4, m, groups)
    _deal[(m, triton.cdiv(groups, DEAL))](x, dealt, m, k, groups, BLOCK=DEAL, **pdl)
    matrix, bits = (dealt, weights, w.places, scales), 16 if w.scales is None else 4
    if naive:
        y = x.new_empty(m, n)
        _naive[(n, m)](*matrix, y, m, n, groups, chunks, BITS=bits, num_warps=1)
        return y.to(dtype)
    block = {
        "BITS": bits,
        "ROWS": tile.rows,
        "BATCH": tile.batch,
        "STAGES": tile.stages,
    }
    block |= {"num_warps": tile.warps, "num_stages": tile.stages} | pdl
    sizes, grid = (m, n, groups, chunks), tile.grid(n, m)
    if tile.inside:
        y = x.new_empty(m, n)
        _skinny[grid](*matrix, y, *sizes, SPLITS=tile.splits, **block)
        return y.to(dtype)
    split = tile.splits > 1
    shape = (tile.splits, m, n) if split else (m, n)
    y = x.new_empty(shape, dtype=torch.float32 if split else x.dtype)
    each = -(-chunks // tile.splits)
    _wide[(*grid, tile.splits)](*matrix, y, *sizes, each, **block)
    return (summed(y, x.dtype) if split else y).to(dtype)


def two_of_four_product(
    x: Float[Tensor, "*batch cols"], w: Packed
) -> Float[Tensor, "*batch rows"]:
    """y = x Ŵᵀ in the dtype of x: on a GPU the fast kernel, on a CPU the reference.

    ValueError for another dtype than fp16, bf16 or float32, values in another dtype
    than x, other columns, another device, or where a gradient is wanted.
    """
    flat = checked_activations(x, w.cols, w.weights.device)
    if w.scales is None and w.weights.dtype != x.dtype:
        raise ValueError(f"x is {x.dtype}, the kept values {w.weights.dtype}")
    y = torch.ops.llm_compression.two_of_four_product(
        flat, w.weights, w.places, w.scales
    )
    return y.view(*x.shape[:-1], y.shape[1])


torch.library.define(
    "llm_compression::two_of_four_product",
    "(Tensor x, Tensor weights, Tensor places, Tensor? scales) -> Tensor",
)


@torch.library.impl("llm_compression::two_of_four_product", "CPU")
def _on_cpu(
    x: Tensor, weights: Tensor, places: Tensor, scales: Tensor | None
) -> Tensor:
    return packed_reference(x, Packed(weights, places, scales, x.shape[1]))


def _on_cuda(
    x: Tensor, weights: Tensor, places: Tensor, scales: Tensor | None
) -> Tensor:
    if not len(x):
        return x.new_empty(0, weights.shape[2])
    return launch(x, Packed(weights, places, scales, x.shape[1]))


torch.library.impl("llm_compression::two_of_four_product", "CUDA", _on_cuda)


@torch.library.register_fake("llm_compression::two_of_four_product")
def _shape_only(
    x: Tensor, weights: Tensor, places: Tensor, scales: Tensor | None
) -> Tensor:
    return x.new_empty(x.shape[0], weights.shape[2])
