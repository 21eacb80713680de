"""The kernels of two_of_four/storage.py: what is kept of a tile, packed, and back.

A program has a tile of ROWS x COLS weights, and a thread whole groups of four in
registers. `compress` finds the two that are kept as Wanda's mask of 2 of 4 does
(wanda/runs_triton.py), and selects by comparisons, without an index: the first kept is
the earliest column that is, the last one the latest. What exceeds the matrix is masked
at each of the three widths: cols, cols / 2 values, cols / 8 bytes of indices.

Read in order: `compress`, `decompress`.
"""

from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.wanda.runs_triton import VARY, apart, kept, load_tile, tile_offsets


@triton.jit(do_not_specialize=VARY)
@no_type_check
def compress(
    w,  # (rows, cols)
    norm,  # (cols,)
    values,  # (rows, cols / 2)
    indices,  # (rows, cols / 8): see storage.py
    rows, cols,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """The two kept of every four, in their order, and the columns where they stood."""
    weights, key, _, _, _ = load_tile(w, norm, rows, cols, ROWS, COLS)
    v, keep = apart(weights, 2), kept(apart(key, 2), 2, 2)
    first = tl.where(keep[0], 0, tl.where(keep[1], 1, 2))
    last = tl.where(keep[3], 3, tl.where(keep[2], 2, 1))
    v0 = tl.where(keep[0], v[0], tl.where(keep[1], v[1], v[2]))
    v1 = tl.where(keep[3], v[3], tl.where(keep[2], v[2], v[1]))
    pairs = tl.reshape(tl.join(v0, v1), (ROWS, COLS // 2))
    _, offset, mask = tile_offsets(rows, cols // 2, ROWS, COLS // 2)
    tl.store(values + offset, pairs, mask=mask)
    low, high = tl.split(tl.reshape(first | last << 2, (ROWS, COLS // 8, 2)))
    _, offset, mask = tile_offsets(rows, cols // 8, ROWS, COLS // 8)
    tl.store(indices + offset, (low | high << 4).to(tl.uint8), mask=mask)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def decompress(
    values, indices, w,
    rows, cols,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Each value goes to its column, and 0 to the two columns that no index names."""
    _, offset, mask = tile_offsets(rows, cols // 8, ROWS, COLS // 8)
    pair = tl.load(indices + offset, mask=mask, other=0).to(tl.int32)
    code = tl.reshape(tl.join(pair & 15, pair >> 4), (ROWS, COLS // 4, 1))
    _, offset, mask = tile_offsets(rows, cols // 2, ROWS, COLS // 2)
    v0, v1 = apart(tl.load(values + offset, mask=mask, other=0), 1)
    j = tl.arange(0, 4)[None, None, :]
    runs = tl.where(code & 3 == j, v0, tl.where(code >> 2 == j, v1, 0.0))
    _, offset, mask = tile_offsets(rows, cols, ROWS, COLS)
    tl.store(w + offset, tl.reshape(runs.to(v0.dtype), (ROWS, COLS)), mask=mask)
