"""The kernels of wanda.py and two_of_four.py for runs of M neighbours, by comparisons.

    score = |w ‖x‖| in float32; its bits, read as an integer, are in order of size

A weight is kept if its score is above the run's N-th, or first among its equals. A
sorting network finds the N-th by minima and maxima of registers alone. Every NaN is
given the same bits, the first above infinity.

Read in order: `_keys`, `_put`; `naive_n_of_m`; `_sorted`, `_cut`, `_kept`, `n_of_m`;
`_nth`, `_kept_by_two`; `compress`, `decompress`.
Source: Batcher 1968, "Sorting networks and their applications".
"""

from lib.kernels.core.compiler import no_type_check, tl, triton

VARY = ("rows",)
NAN = tl.constexpr(0x7F800001)  # infinity is 0x7F800000


@triton.jit
@no_type_check
def _keys(w, norm):
    """Integers in the order of the scores."""
    bits = (w.to(tl.float32) * norm).to(tl.int32, bitcast=True) & 0x7FFFFFFF
    return tl.minimum(bits, NAN)


@triton.jit
@no_type_check
def _place(rows, cols, ROWS: tl.constexpr, COLS: tl.constexpr):
    """The columns of a program's tile, where it lies, and what there is of it."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    col = tl.program_id(1) * COLS + tl.arange(0, COLS)
    at = row.to(tl.int64)[:, None] * cols + col[None, :]
    return col, at, (row < rows)[:, None] & (col < cols)[None, :]


@triton.jit
@no_type_check
def _tile(w, norm, rows, cols, ROWS: tl.constexpr, COLS: tl.constexpr):
    """A tile of W, its keys, its columns, and where it lies."""
    col, at, here = _place(rows, cols, ROWS, COLS)
    there = tl.load(w + at, mask=here, other=0)
    norms = tl.load(norm + col, mask=col < cols, other=0)
    return there, _keys(there, norms[None, :]), col, at, here


@triton.jit
@no_type_check
def _put(out, at, here, keep, w):
    """Store the mask where `out` holds bytes, else W with zeros where not kept."""
    if out.dtype.element_ty == tl.uint8:
        tl.store(out + at, keep.to(tl.uint8), mask=here)
    else:
        tl.store(out + at, tl.where(keep, w, 0.0).to(w.dtype), mask=here)


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
    """Every column reads all M of its run again, to count those that come before it."""
    M: tl.constexpr = 2**LOG
    there, key, col, at, here = _tile(w, norm, rows, cols, ROWS, COLS)
    before = tl.zeros(key.shape, tl.int32)
    for j in tl.static_range(M):
        other = (col // M * M + j)[None, :]
        rival = tl.load(w + (at - col[None, :] + other), mask=here, other=0)
        rival = _keys(rival, tl.load(norm + other, mask=other < cols, other=0))
        first = (rival > key) | ((rival == key) & (other < col[None, :]))
        before += first.to(tl.int32)
    _put(out, at, here, before < N, there)


@triton.jit
@no_type_check
def _halves(x):
    """Both halves of runs (rows, runs, width)."""
    HALF: tl.constexpr = x.shape[2] // 2
    pairs = tl.reshape(x, (x.shape[0], x.shape[1], 2, HALF))
    return tl.split(tl.permute(pairs, (0, 1, 3, 2)))


@triton.jit
@no_type_check
def _apart(x, LOG: tl.constexpr):
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
def _kept(key, N: tl.constexpr, LOG: tl.constexpr):
    """The mask of each of M = 2^LOG columns: above the N-th key, or first equal to it.

    What is not needed for the N-th key is never computed.
    """
    order = _sorted(key, LOG)
    least = order[N - 1]
    left = tl.full(least.shape, N, tl.int32)  # places for equals
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
    """W is read once: one thread or two hold a run, and compare registers."""
    there, key, _, at, here = _tile(w, norm, rows, cols, ROWS, COLS)
    if LOG < 4:
        keep = _spread(_kept(_apart(key, LOG), N, LOG), LOG)
    else:
        keep = _spread(_kept_by_two(_apart(key, LOG - 1), N, LOG - 1), LOG - 1)
    _put(out, at, here, keep, there)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def compress(
    w, norm,
    values,  # (rows, cols / 2)
    indices,  # (rows, cols / 8): see two_of_four.py
    rows, cols,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """The two kept of every four, in their order, and where they stood."""
    there, key, _, at, here = _tile(w, norm, rows, cols, ROWS, COLS)
    v, keep = _apart(there, 2), _kept(_apart(key, 2), 2, 2)
    first = tl.where(keep[0], 0, tl.where(keep[1], 1, 2))
    last = tl.where(keep[3], 3, tl.where(keep[2], 2, 1))
    v0 = tl.where(keep[0], v[0], tl.where(keep[1], v[1], v[2]))
    v1 = tl.where(keep[3], v[3], tl.where(keep[2], v[2], v[1]))
    pairs = tl.reshape(tl.join(v0, v1), (ROWS, COLS // 2))
    _, at, here = _place(rows, cols // 2, ROWS, COLS // 2)
    tl.store(values + at, pairs, mask=here)
    low, high = tl.split(tl.reshape(first | last << 2, (ROWS, COLS // 8, 2)))
    _, at, here = _place(rows, cols // 8, ROWS, COLS // 8)
    tl.store(indices + at, (low | high << 4).to(tl.uint8), mask=here)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def decompress(
    values, indices, w,
    rows, cols,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Every value to its column, and zeros to the two others."""
    _, at, here = _place(rows, cols // 8, ROWS, COLS // 8)
    pair = tl.load(indices + at, mask=here, other=0).to(tl.int32)
    code = tl.reshape(tl.join(pair & 15, pair >> 4), (ROWS, COLS // 4, 1))
    _, at, here = _place(rows, cols // 2, ROWS, COLS // 2)
    v0, v1 = _apart(tl.load(values + at, mask=here, other=0), 1)
    j = tl.arange(0, 4)[None, None, :]
    runs = tl.where(code & 3 == j, v0, tl.where(code >> 2 == j, v1, 0.0))
    _, at, here = _place(rows, cols, ROWS, COLS)
    tl.store(w + at, tl.reshape(runs.to(v0.dtype), (ROWS, COLS)), mask=here)
