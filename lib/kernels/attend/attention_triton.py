"""The kernels of attend/attention.py: a token's attention over blocks of the cache.

    o = Σ_t e^(q·k_t / √d) v_t / Σ_t e^(q·k_t / √d)

Program (b, g, split) of `attend` takes text b, the REP query heads that share key head
g, and one of SPLITS runs of the context, TILE tokens at a time. It keeps the largest
score so far and sums over e^(score - largest), which it rescales where a larger one
comes. The new token's key is turned in registers, and the first split writes it to the
cache: nobody has to wait for that.

Each split leaves its sums in memory. Whoever of them comes last adds them all, in the
order of the splits: who that is, is chance, and the sums do not depend on it.

Queries fill the ROWS of a tile of the matrix unit, which wants 16: rows beyond REP
repeat the last head, and are not written.

Every split begins with the new token's score as its largest, so that none is infinite;
its weight is 0 but in the first.

Read in order: `Cached`, `naive`, `turned`; `attend`, `load_tile`, `see`, `add_splits`.
Source: the running softmax: Dao et al. 2022, arXiv:2205.14135; splits: Dao et al. 2023,
"Flash-Decoding".
"""

from typing import Any, NamedTuple

from lib.kernels.core.blocks import pdl_launch, pdl_wait
from lib.kernels.core.compiler import no_type_check, tl, triton


class Cached(NamedTuple):
    """Pointers to the blocks, to where each text has its own, and to the angles."""

    k_blocks: Any  # (blocks, BLOCK, G, D)
    v_blocks: Any
    tables: Any  # (B, width): the blocks of each text
    lengths: Any  # (B): the tokens before this one
    cos: Any  # (positions, D / 2)
    sin: Any


class Parts(NamedTuple):
    """What a split leaves for the last one."""

    sums: Any  # (B, G, SPLITS, REP, D)
    largest: Any  # (B, G, SPLITS, REP)
    weights: Any  # (B, G, SPLITS, REP): Σ e^(score - largest)
    arrived: Any  # (B, G): how many splits have left theirs; 0 before and after


@triton.jit
@no_type_check
def turned(x, c, s, j, D: tl.constexpr):
    """x at channels j, each pair j and j + D / 2 turned by its angle; in x's dtype."""
    own = tl.load(x + j).to(tl.float32)
    other = tl.load(x + (j + D // 2) % D).to(tl.float32)
    return (own * c + other * s).to(x.dtype.element_ty)


@triton.jit
@no_type_check
def angles(cached, place, j, D: tl.constexpr):
    """Cosine of each channel's angle, and the sine with the other channel's sign."""
    at = place * (D // 2) + j % (D // 2)
    c, s = tl.load(cached.cos + at).to(tl.float32), tl.load(cached.sin + at)
    return c, tl.where(j < D // 2, -s, s).to(tl.float32)


@triton.jit
@no_type_check
def slot_of(cached, b, t, width, mask, BLOCK: tl.constexpr):
    """Where token t of text b lies in the cache."""
    block = tl.load(cached.tables + b * width + t // BLOCK, mask=mask, other=0)
    return block.to(tl.int64) * BLOCK + t % BLOCK


@triton.jit
@no_type_check
def naive(
    qkv,  # (B, H D + 2 G D)
    cached,  # `Cached`
    out,  # (B, H D)
    heads, groups, width, scale,
    REP: tl.constexpr,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Program (b, h) takes one head, and its context a token at a time."""
    b, h = tl.program_id(0), tl.program_id(1)
    g, j = h // REP, tl.arange(0, D)
    place = tl.load(cached.lengths + b)
    c, s = angles(cached, place, j, D)
    row = qkv + b.to(tl.int64) * (heads + 2 * groups) * D
    q = turned(row + h * D, c, s, j, D).to(tl.float32)
    k = turned(row + (heads + g) * D, c, s, j, D)
    v = tl.load(row + (heads + groups + g) * D + j)
    own = (slot_of(cached, b, place, width, True, BLOCK) * groups + g) * D + j
    tl.store(cached.k_blocks + own, k)  # by REP programs, the same
    tl.store(cached.v_blocks + own, v)
    largest = tl.sum(q * k.to(tl.float32), 0) * scale
    weight, total = 1.0, v.to(tl.float32)
    for t in range(place):
        at = (slot_of(cached, b, t, width, True, BLOCK) * groups + g) * D + j
        score = tl.sum(q * tl.load(cached.k_blocks + at).to(tl.float32), 0) * scale
        larger = tl.maximum(largest, score)
        fade, e = tl.exp(largest - larger), tl.exp(score - larger)
        weight = weight * fade + e
        total = total * fade + e * tl.load(cached.v_blocks + at).to(tl.float32)
        largest = larger
    tl.store(out + (b * heads + h) * D + j, (total / weight).to(out.dtype.element_ty))


@triton.jit
@no_type_check
def load_tile(
    cached, b, g, t, end, groups, width, D: tl.constexpr, BLOCK: tl.constexpr
):
    """Keys and values of tokens t, and which of them there are."""
    known = t < end
    at = (slot_of(cached, b, t, width, known, BLOCK) * groups + g) * D
    at, mask = at[:, None] + tl.arange(0, D)[None, :], known[:, None]
    k = tl.load(cached.k_blocks + at, mask=mask, other=0)
    return k, tl.load(cached.v_blocks + at, mask=mask, other=0), known


@triton.jit
@no_type_check
def see(q, tile, scale, largest, weight, total):
    """The running softmax after one more tile of keys and values."""
    k, v, known = tile
    score = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
    score = tl.where(known[None, :], score, float("-inf"))
    larger = tl.maximum(largest, tl.max(score, 1))
    fade, e = tl.exp(largest - larger), tl.exp(score - larger[:, None])
    seen = tl.dot(e.to(v.dtype), v, input_precision="ieee")
    return larger, weight * fade + tl.sum(e, 1), total * fade[:, None] + seen


@triton.jit
@no_type_check
def attend(
    qkv, cached, parts, out,
    heads, groups, width, scale,
    REP: tl.constexpr,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
    TILE: tl.constexpr,
    SPLITS: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Program (b, g, split): see above.

    Before it waits it loads its first tile, and the angles: the cache, tables and
    lengths were left by the pass before, which has ended (ends_triton.py, `embed`).
    """
    pdl_launch(PDL)
    b, g, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    r, j = tl.arange(0, ROWS), tl.arange(0, D)
    row = qkv + b.to(tl.int64) * (heads + 2 * groups) * D
    head = g * REP + tl.minimum(r, REP - 1)
    place = tl.load(cached.lengths + b)
    c, s = angles(cached, place, j, D)
    each = tl.cdiv(tl.cdiv(place, TILE), SPLITS) * TILE  # tokens of a split
    first, i = split * each, tl.arange(0, TILE)
    end = tl.minimum(first + each, place)
    tile = load_tile(cached, b, g, first + i, end, groups, width, D, BLOCK)
    pdl_wait(PDL)
    q = turned(row + head[:, None] * D, c[None, :], s[None, :], j[None, :], D)
    k = turned(row + (heads + g) * D, c, s, j, D)
    v = tl.load(row + (heads + groups + g) * D + j)
    mine = (split == 0).to(tl.float32)  # the new token is the first split's
    if split == 0:
        own = (slot_of(cached, b, place, width, True, BLOCK) * groups + g) * D + j
        tl.store(cached.k_blocks + own, k)
        tl.store(cached.v_blocks + own, v)
    largest = tl.sum(q.to(tl.float32) * k.to(tl.float32)[None, :], 1) * scale
    weight = tl.zeros((ROWS,), tl.float32) + mine
    total = tl.zeros((ROWS, D), tl.float32) + mine * v.to(tl.float32)[None, :]
    largest, weight, total = see(q, tile, scale, largest, weight, total)
    for t0 in tl.range(first + TILE, end, TILE, num_stages=STAGES):
        tile = load_tile(cached, b, g, t0 + i, end, groups, width, D, BLOCK)
        largest, weight, total = see(q, tile, scale, largest, weight, total)
    if SPLITS > 1:
        add_splits(largest, weight, total, parts, out, b, g, split, REP, D, SPLITS)
    else:
        at = out + ((b * groups + g) * REP + r)[:, None].to(tl.int64) * D + j[None, :]
        mask = (r < REP)[:, None]
        tl.store(at, (total / weight[:, None]).to(out.dtype.element_ty), mask=mask)


@triton.jit
@no_type_check
def add_splits(
    largest, weight, total, parts, out, b, g, split,
    REP: tl.constexpr,
    D: tl.constexpr,
    SPLITS: tl.constexpr,
):  # fmt: skip
    """Leave a split's sums; the last one to come adds all, from the first to the last.

    What a program wrote before its count is seen by whoever sees the count: the barrier
    gathers the program's writes, the atomic addition releases and acquires them, and
    the loads pass by the multiprocessor's own cache.
    """
    r, j = tl.arange(0, total.shape[0]), tl.arange(0, D)
    pair = b * tl.num_programs(1) + g
    mask = r < REP
    at = (pair * SPLITS + split) * REP + r
    tl.store(parts.largest + at, largest, mask=mask)
    tl.store(parts.weights + at, weight, mask=mask)
    tl.store(parts.sums + at[:, None] * D + j[None, :], total, mask=mask[:, None])
    tl.debug_barrier()
    came = tl.atomic_add(parts.arrived + pair, 1, sem="acq_rel")
    if came == SPLITS - 1:
        tl.store(parts.arrived + pair, 0)
        at = pair * SPLITS * REP + tl.minimum(r, REP - 1)
        largest = tl.load(parts.largest + at, cache_modifier=".cg")
        for other in tl.static_range(1, SPLITS):
            theirs = parts.largest + at + other * REP
            largest = tl.maximum(largest, tl.load(theirs, cache_modifier=".cg"))
        weight, total = tl.zeros_like(weight), tl.zeros_like(total)
        for other in tl.static_range(SPLITS):
            of = at + other * REP
            m = tl.load(parts.largest + of, cache_modifier=".cg")
            w = tl.load(parts.weights + of, cache_modifier=".cg")
            sums = parts.sums + of[:, None] * D + j[None, :]
            fade = tl.exp(m - largest)
            weight += fade * w
            total += fade[:, None] * tl.load(sums, cache_modifier=".cg")
        y = out + (pair * REP + r)[:, None].to(tl.int64) * D + j[None, :]
        y_tile = (total / weight[:, None]).to(out.dtype.element_ty)
        tl.store(y, y_tile, mask=mask[:, None])
