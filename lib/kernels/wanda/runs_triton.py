"""The kernels of wanda/masks.py for runs of M neighbours, by comparisons.

    score = |w ‖x‖| in float32; its bits, read as an integer, are in order of size

A program has a tile of ROWS x COLS weights, and each of its threads whole runs of M
neighbouring columns in registers (of 16, half a run). A weight is kept if its score is
above the run's N-th, or equal to it and early enough among its equals. A sorting
network finds the N-th by minima and maxima of registers alone, without a branch. Every
NaN is given the same bits, the first above infinity.

Runs do not cross the end of a row, for M divides the columns; the part of a tile that
exceeds the matrix is read as 0 and not written.

Read in order: `keys`, `store_kept`; `naive_n_of_m`; `_sorted`, `_cut`, `kept`,
`n_of_m`; `_nth`, `_kept_by_two`. `load_tile`, `apart` and `kept` also serve
two_of_four/storage_triton.py.
Source: Batcher 1968, "Sorting networks and their applications".
"""

from lib.kernels.core.compiler import no_type_check, tl, triton

VARY = ("rows",)
NAN = tl.constexpr(0x7F800001)  # infinity is 0x7F800000


@triton.jit
@no_type_check
def keys(w, norm):
    """Integers in the order of the scores."""
    bits = (w.to(tl.float32) * norm).to(tl.int32, bitcast=True) & 0x7FFFFFFF
    return tl.minimum(bits, NAN)


@triton.jit
@no_type_check
def tile_offsets(rows, cols, ROWS: tl.constexpr, COLS: tl.constexpr):
    """The columns of a program's tile, its offsets in memory, and its mask."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    col = tl.program_id(1) * COLS + tl.arange(0, COLS)
    offset = row.to(tl.int64)[:, None] * cols + col[None, :]
    return col, offset, (row < rows)[:, None] & (col < cols)[None, :]


@triton.jit
@no_type_check
def load_tile(w, norm, rows, cols, ROWS: tl.constexpr, COLS: tl.constexpr):
    """A tile of W, its keys, its columns, offsets and mask."""
    col, offset, mask = tile_offsets(rows, cols, ROWS, COLS)
    weights = tl.load(w + offset, mask=mask, other=0)
    norms = tl.load(norm + col, mask=col < cols, other=0)
    return weights, keys(weights, norms[None, :]), col, offset, mask


@triton.jit
@no_type_check
def store_kept(out, offset, mask, keep, w):
    """Write `keep` itself where `out` holds bytes, else W with zeros where not kept."""
    if out.dtype.element_ty == tl.uint8:
        tl.store(out + offset, keep.to(tl.uint8), mask=mask)
    else:
        tl.store(out + offset, tl.where(keep, w, 0.0).to(w.dtype), mask=mask)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def naive_n_of_m(
    w,  # (rows, cols)
    norm,  # (cols): ‖x_j‖
    out,  # (rows, cols): the mask as bytes, or W masked
    rows, cols,
    N: tl.constexpr,
    LOG: tl.constexpr,  # runs of M = 2^LOG columns
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Every weight reads all M of its run again, to count those that come before it.

    It is kept if fewer than N have a larger score, or an equal one further left.
    """
    M: tl.constexpr = 2**LOG
    weights, key, col, offset, mask = load_tile(w, norm, rows, cols, ROWS, COLS)
    before = tl.zeros(key.shape, tl.int32)
    for j in tl.static_range(M):
        other = (col // M * M + j)[None, :]
        rival = tl.load(w + (offset - col[None, :] + other), mask=mask, other=0)
        rival = keys(rival, tl.load(norm + other, mask=other < cols, other=0))
        first = (rival > key) | ((rival == key) & (other < col[None, :]))
        before += first.to(tl.int32)
    store_kept(out, offset, mask, before < N, weights)


@triton.jit
@no_type_check
def _halves(x):
    """Both halves of runs (rows, runs, width)."""
    HALF: tl.constexpr = x.shape[2] // 2
    pairs = tl.reshape(x, (x.shape[0], x.shape[1], 2, HALF))
    return tl.split(tl.permute(pairs, (0, 1, 3, 2)))


@triton.jit
@no_type_check
def apart(x, LOG: tl.constexpr):
    """x (rows, cols) as M = 2^LOG tensors (rows, runs, 1): column j of every run.

    The first step parts the halves of a run, which two threads may hold.
    """
    parts = (tl.reshape(x, (x.shape[0], x.shape[1] // 2**LOG, 2**LOG)),)
    for step in tl.static_range(LOG):
        halves = ()
        for i in tl.static_range(2**step):
            low, high = _halves(parts[i])
            halves += (low, high)
        parts = halves
    return parts


@triton.jit
@no_type_check
def _exchanged(key, P: tl.constexpr, K: tl.constexpr, LOG: tl.constexpr):
    """A step of Batcher's network: columns K apart in order, the larger key first."""
    after = ()
    for i in tl.static_range(2**LOG):
        if (
            (i >= K % P)
            & ((i - K % P) % (2 * K) < K)
            & (i // (2 * P) == (i + K) // (2 * P))
        ):
            after += (tl.maximum(key[i], key[i + K]),)
        elif (
            (i >= K + K % P)
            & ((i - K % P) % (2 * K) >= K)
            & (i // (2 * P) == (i - K) // (2 * P))
        ):
            after += (tl.minimum(key[i - K], key[i]),)
        else:
            after += (key[i],)
    return after


@triton.jit
@no_type_check
def _sorted(key, LOG: tl.constexpr):
    """M = 2^LOG columns from the largest key to the smallest, by 19 exchanges of 8."""
    for p in tl.static_range(LOG):
        for k in tl.static_range(p + 1):
            key = _exchanged(key, 2**p, 2 ** (p - k), LOG)
    return key


@triton.jit
@no_type_check
def _nth(a, b, N: tl.constexpr, SIZE: tl.constexpr):
    """The N-th of two sorted lists: max over i + j = N of min(a_i, b_j)."""
    least = a[0] & 0
    for i in tl.static_range(N + 1):
        if i <= SIZE and N - i <= SIZE:
            if i == 0:
                last = b[N - 1]
            elif i == N:
                last = a[N - 1]
            else:
                last = tl.minimum(a[i - 1], b[N - i - 1])
            least = tl.maximum(least, last)
    return least


@triton.jit
@no_type_check
def _cut(key, least, left, LOG: tl.constexpr):
    """Which of M = 2^LOG columns are above `least`, or among `left` equals."""
    keep = ()
    for j in tl.static_range(2**LOG):
        equal = key[j] == least
        keep += ((key[j] > least) | (equal & (left > 0)),)
        left -= equal.to(tl.int32)
    return keep


@triton.jit
@no_type_check
def _counts(key, least, LOG: tl.constexpr):
    """How many of M = 2^LOG columns are above `least`, and 256 times the equals."""
    counts = tl.zeros(least.shape, tl.int32)
    for j in tl.static_range(2**LOG):
        counts += (key[j] > least).to(tl.int32)
        counts += tl.where(key[j] == least, 256, 0)
    return counts


@triton.jit
@no_type_check
def kept(key, N: tl.constexpr, LOG: tl.constexpr):
    """The mask of each of M = 2^LOG columns: above the N-th key, or first equal to it.

    What is not needed for the N-th key is never computed.
    """
    order = _sorted(key, LOG)
    least = order[N - 1]
    left = tl.full(least.shape, N, tl.int32)  # how many equals may be kept
    for j in tl.static_range(N - 1):
        left -= (order[j] > least).to(tl.int32)
    return _cut(key, least, left, LOG)


@triton.jit
@no_type_check
def _kept_by_two(key, N: tl.constexpr, LOG: tl.constexpr):
    """The same where two threads hold a run, each M = 2^LOG of its columns.

    Each sorts its own, and is shown the other's list and then the other's counts.
    """
    rows: tl.constexpr = key[0].shape[0]
    runs: tl.constexpr = key[0].shape[1] // 2
    order, own, other = _sorted(key, LOG), (), ()
    for i in tl.static_range(2**LOG):
        pair = tl.reshape(order[i], (rows, runs, 2))
        own += (pair,)
        other += (tl.flip(pair, 2),)
    least = tl.reshape(_nth(own, other, N, 2**LOG), key[0].shape)
    counts = tl.reshape(_counts(key, least, LOG), (rows, runs, 2))
    others = tl.flip(counts, 2)
    left = N - (counts + others & 255)
    left -= tl.where(tl.arange(0, 2)[None, None, :] == 1, others >> 8, 0)
    return _cut(key, least, tl.reshape(left, key[0].shape), LOG)


@triton.jit
@no_type_check
def _spread(keep, LOG: tl.constexpr):
    """The masks of M = 2^LOG columns as that of the tile, by way of M bits a run."""
    bits = tl.zeros(keep[0].shape, tl.int32)
    for j in tl.static_range(2**LOG):
        bits |= keep[j].to(tl.int32) << j
    mask = (bits >> tl.arange(0, 2**LOG)[None, None, :]) & 1
    return tl.reshape(mask, (mask.shape[0], mask.shape[1] * mask.shape[2])) != 0


@triton.jit(do_not_specialize=VARY)
@no_type_check
def n_of_m(
    w, norm, out,
    rows, cols,
    N: tl.constexpr,
    LOG: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """A program reads its tile once; a thread sorts a run, or two threads one of 16."""
    weights, key, _, offset, mask = load_tile(w, norm, rows, cols, ROWS, COLS)
    if LOG < 4:
        keep = _spread(kept(apart(key, LOG), N, LOG), LOG)
    else:
        keep = _spread(_kept_by_two(apart(key, LOG - 1), N, LOG - 1), LOG - 1)
    store_kept(out, offset, mask, keep, weights)
