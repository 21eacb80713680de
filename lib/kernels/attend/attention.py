"""One token's attention over a paged cache: rotation, the write, splits, one kernel.

    k_p = R_p K n,  v_p = V n                        join the cache at place p
    o_h = Σ_{t ≤ p} softmax_t(q_h · k_t / √d) v_t     q_h = R_p Q_h n

p is the number of tokens that the text has in the cache; heads / groups queries share a
key. Token t lies in block table[t div 16], at place t mod 16 of it.

Bytes a text: 4 G d p of keys and values in 16 bits, 2 (H + 2 G) d of q, k and v, 4 G d
written to the cache, 2 H d of o; with S splits 8 S H d more of their sums, which stay
in L2.

Scores and sums are float32. q, k and the weights of v are rounded to the dtype of x, as
transformers rounds them.

Read in order: `Blocks`, `attend_reference`, the kernels in attention_triton.py,
`launch`, `attended`. Taught in notebooks/14.
Source: Kwon et al. 2023, arXiv:2309.06180 (blocks).
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from lib.kernels.attend.attention_triton import Cached, Parts
from lib.kernels.attend.attention_triton import attend as _attend
from lib.kernels.attend.attention_triton import naive as _naive
from lib.kernels.core.compiler import pdl_options, require_triton, widened
from lib.kernels.core.entry import DTYPES
from lib.kernels.core.tiles import num_sms, power_above

ROWS = 16  # queries in a tile of the matrix unit, at least
TURN = 16_384  # numbers of a turn's keys, by 8 warps; half of it where programs abound
SPLIT = 256  # tokens of a split, at least: to add splits takes as long
MOST_SPLITS = 16


@dataclass(frozen=True, eq=False)
class Blocks:
    """One layer's blocks, each text's own among them, and the angles of every place."""

    keys: Float[Tensor, "blocks block groups d"]
    values: Float[Tensor, "blocks block groups d"]
    tables: Int32[Tensor, "b width"]
    lengths: Int32[Tensor, " b"]  # of the texts, without the new token
    cos: Float[Tensor, "places half"]
    sin: Float[Tensor, "places half"]

    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in this order."""
        return (
            *(self.keys, self.values, self.tables),
            *(self.lengths, self.cos, self.sin),
        )


def attend_reference(qkv: Float[Tensor, "b channels"], *tensors: Tensor) -> Tensor:
    """The equations, text by text; `tensors` are those of `Blocks`."""
    keys, values, tables, lengths, cos, sin = tensors
    _, block, groups, d = keys.shape
    out = []
    for row, table, place in zip(qkv, tables, lengths.tolist(), strict=True):
        parts = row.unflatten(0, (-1, d))
        heads = len(parts) - 2 * groups
        turn = parts[:-groups].chunk(2, 1)
        c, s = cos[place].to(qkv.dtype), sin[place].to(qkv.dtype)
        a, b = turn[0] * c - turn[1] * s, turn[1] * c + turn[0] * s
        q, k = torch.cat([a, b], 1).split([heads, groups])
        at = table[place // block].long(), place % block
        keys[at], values[at] = k, parts[-groups:]
        known = table[: place // block + 1].long()
        past = [t[known].flatten(0, 1)[: place + 1] for t in (keys, values)]
        k, v = (t.transpose(0, 1) for t in past)  # (groups, tokens, d)
        scores = q.unflatten(0, (groups, -1)) @ k.transpose(1, 2) * d**-0.5
        weights = scores.float().softmax(-1).to(qkv.dtype)
        out.append((weights @ v).flatten())
    return torch.stack(out)


def tile_for(b: int, groups: int, d: int, sms: int) -> tuple[int, int]:
    """Tokens of a turn, and the warps that share it."""
    many = b * groups >= 4 * sms
    return min(256, TURN // (1 + many) // d), 4 if many else 8


def splits_for(b: int, groups: int, longest: int, sms: int) -> int:
    """So many that every multiprocessor has two programs, of enough tokens each."""
    wanted = min(2 * sms // (b * groups), longest // SPLIT, MOST_SPLITS)
    return max(1, power_above(wanted + 1) // 2)


@cache
def _arrived(device: torch.device, count: int) -> Tensor:
    """Counters that are 0 whenever no kernel runs."""
    return torch.zeros(count, dtype=torch.int32, device=device)


def launch(
    qkv: Float[Tensor, "b channels"],
    *tensors: Tensor,
    splits: int | None = None,
    tile: int | None = None,
    naive: bool = False,
) -> Float[Tensor, "b mixed"]:
    """The same by a kernel, where qkv lives.

    ImportError without Triton; ValueError where no kernel reaches qkv.
    """
    require_triton(qkv)
    keys, values, tables, lengths, cos, sin = tensors
    (_, block, groups, d), (b, width), dtype = keys.shape, tables.shape, qkv.dtype
    heads = qkv.shape[1] // d - 2 * groups
    kept = (keys, values)
    qkv, keys, values = (t.to(widened(dtype)) for t in (qkv, keys, values))
    out = qkv.new_empty(b, heads * d)
    cached = Cached(keys, values, tables, lengths, cos, sin)
    sizes, rep = (heads, groups, width, d**-0.5), heads // groups
    layout = {"REP": rep, "D": d, "BLOCK": block}
    if naive:
        _naive[(b, heads)](qkv, cached, out, *sizes, **layout, num_warps=1)
    else:
        sms = num_sms(qkv)
        splits = splits or splits_for(b, groups, width * block, sms)
        turn, warps = tile_for(b, groups, d, sms)
        sums = out.new_empty(b, groups, splits, rep, d, dtype=torch.float32)
        largest, weights = sums.new_empty(2, *sums.shape[:-1])
        parts = Parts(sums, largest, weights, _arrived(qkv.device, b * groups))
        layout |= {"ROWS": max(ROWS, power_above(rep)), "TILE": tile or turn}
        layout |= {"SPLITS": splits, "STAGES": 2, "num_warps": warps}
        layout |= pdl_options(qkv)
        _attend[(b, groups, splits)](qkv, cached, parts, out, *sizes, **layout)
    for mine, t in zip(kept, (keys, values), strict=True):
        if mine is not t:
            mine.copy_(t)
    return out.to(dtype)


def attended(
    qkv: Float[Tensor, "b channels"], blocks: Blocks
) -> Float[Tensor, "b mixed"]:
    """o of one new token a text; its key and value join the blocks.

    On a GPU the kernel, on a CPU the reference. ValueError for another dtype than that
    of the blocks, heads that the groups do not divide, and channels that are no power
    of two. A place behind the table's end is not looked for.
    """
    _, _, groups, d = blocks.keys.shape
    if qkv.dtype not in DTYPES or blocks.keys.dtype != qkv.dtype:
        raise ValueError(f"qkv is {qkv.dtype}, the blocks are {blocks.keys.dtype}")
    heads = qkv.shape[1] // d - 2 * groups
    if qkv.shape[1] % d or heads < 1 or heads % groups:
        raise ValueError(f"{qkv.shape[1]} channels are no heads of {d} in {groups}")
    if d & (d - 1) or d < 16:
        raise ValueError(f"{d} channels a head are no power of two from 16 on")
    if len(qkv) != len(blocks.tables) or len(qkv) != len(blocks.lengths):
        raise ValueError(f"{len(qkv)} tokens, {len(blocks.tables)} tables")
    return torch.ops.llm_compression.attend(qkv, *blocks.tensors())


torch.library.define(
    "llm_compression::attend",
    "(Tensor qkv, Tensor(a!) keys, Tensor(b!) values, Tensor tables, Tensor lengths, "
    "Tensor cos, Tensor sin) -> Tensor",
)
torch.library.impl("llm_compression::attend", "CPU", attend_reference)
torch.library.impl("llm_compression::attend", "CUDA", launch)


@torch.library.register_fake("llm_compression::attend")
def _shape_only(qkv: Tensor, keys: Tensor, *_) -> Tensor:
    return qkv.new_empty(len(qkv), qkv.shape[1] - 2 * keys.shape[2] * keys.shape[3])
