"""The kernels of wanda.py and two_of_four.py: ranks in a run, a row's k-th best.

    score = |w ‖x‖| in float32; its bits, read as an integer, are in order of size

So a search for the k-th best score is a search for an integer: halve the interval in
which it lies by counting how many are at least the middle. Every NaN is given the same
bits, the first above infinity.

Read in order: `_keys`; `naive_n_of_m`, `n_of_m`; `streamed_row`, `held_row`;
`compress`, `decompress`.
"""

from lib.kernels.compiler import no_type_check, tl, triton

REGISTERS = 64  # of a thread that holds a row: 32 warps a multiprocessor
VARY = ("rows", "k", "tail")
NAN = tl.constexpr(0x7F800001)  # infinity is 0x7F800000
STEP = tl.constexpr(1 << 21)  # a quarter of the way to twice the score
LINES = tl.constexpr(12)  # turns of a search until halves take over


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


@triton.jit
@no_type_check
def _row(w, norm, start, cols, BLOCK: tl.constexpr):
    """BLOCK weights of a row from `start` on, and their keys: 0 past its end."""
    col = start + tl.arange(0, BLOCK)
    here = col < cols
    there = tl.load(w + col, mask=here, other=0)
    norms = tl.load(norm + col, mask=here, other=0)
    return there, _keys(there, norms), col, here


@triton.jit
@no_type_check
def _chosen(key, col, least, end):
    """The columns above `least`, and those equal to it that come before `end`."""
    return (key > least) | ((key == least) & (col < end))


@triton.jit
@no_type_check
def _halved(enough, few, count, middle, found, k):
    """The half of a search in which a bound still lets k be chosen, and how many."""
    below = found < k
    few = tl.where(below, middle, few)
    enough = tl.where(below, enough, middle)
    return enough, few, tl.where(below, count, found)


@triton.jit
@no_type_check
def _first_guess(total, cols, tail):
    """mean · ln(cols / k): the k-th best of scores spread exponentially."""
    bits = (total / cols * tail).to(tl.int32, bitcast=True)
    return tl.minimum(tl.maximum(bits & 0x7FFFFFFF, 1), NAN)


@triton.jit
@no_type_check
def _next_guess(least, most, count, fewer, k, turn):
    """Where the line through both counts is k; a step away where there is no second.

    Scores are dense around the k-th, so that lines need 7 turns where halves need 18.
    Halves end the search if lines do not.
    """
    half = (most - least) // 2
    far = tl.minimum(turn + 1, LINES)
    step = tl.minimum(half, far * far * STEP)
    share = (count - k).to(tl.float32) / (count - fewer).to(tl.float32)
    line = least + ((most - least).to(tl.float32) * share).to(tl.int32)
    guess = tl.where(least == 0, most - step, line)
    guess = tl.where(most > NAN, least + step, guess)
    guess = tl.where(turn < LINES, guess, least + half)
    return tl.maximum(tl.minimum(guess, most - 1), least + 1)


@triton.jit
@no_type_check
def _found(w, norm, cols, least, end, BLOCK: tl.constexpr):
    """How many of a whole row are chosen."""
    found = 0
    for start in range(0, cols, BLOCK):
        _, key, col, _ = _row(w, norm, start, cols, BLOCK)
        found += tl.sum(_chosen(key, col, least, end).to(tl.int32), 0)
    return found


@triton.jit(do_not_specialize=VARY)
@no_type_check
def streamed_row(
    w, norm, out,
    cols,
    k,  # how many are kept
    tail,  # ln(cols / k)
    BLOCK: tl.constexpr,
):  # fmt: skip
    """One program, one row of any length, read again for every count."""
    w += tl.program_id(0).to(tl.int64) * cols
    out += tl.program_id(0).to(tl.int64) * cols
    total = 0.0
    for start in range(0, cols, BLOCK):
        _, key, _, _ = _row(w, norm, start, cols, BLOCK)
        total += tl.sum(key.to(tl.float32, bitcast=True), 0)
    guess, turn = _first_guess(total, cols, tail), 0
    least, most, count, fewer = 0, NAN + 1, cols, 0
    while (count != k) & (most - least > 1):
        found = _found(w, norm, cols, guess, cols, BLOCK)
        fewer = tl.where(found < k, found, fewer)
        least, most, count = _halved(least, most, count, guess, found, k)
        guess = _next_guess(least, most, count, fewer, k, turn)
        turn += 1
    end, begin = cols, -1
    while (count != k) & (end - begin > 1):
        middle = (begin + end) // 2
        found = _found(w, norm, cols, least, middle, BLOCK)
        end, begin, count = _halved(end, begin, count, middle, found, k)
    for start in range(0, cols, BLOCK):
        there, key, col, here = _row(w, norm, start, cols, BLOCK)
        _put(out, col, here, _chosen(key, col, least, end), there)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def held_row(
    w, norm, out,
    cols,
    k,
    tail,
    BLOCK: tl.constexpr,  # at least cols
):  # fmt: skip
    """The row is read once and stays in registers; a search ends at a count of k.

    Different scores are apart after some 7 counts; equals need a search for a column.
    """
    w += tl.program_id(0).to(tl.int64) * cols
    out += tl.program_id(0).to(tl.int64) * cols
    there, key, col, here = _row(w, norm, 0, cols, BLOCK)
    total = tl.sum(key.to(tl.float32, bitcast=True), 0)
    guess, turn = _first_guess(total, cols, tail), 0
    least, most, count, fewer = 0, NAN + 1, cols, 0
    while (count != k) & (most - least > 1):
        found = BLOCK + tl.sum((key - guess) >> 31, 0)  # -1 where below
        fewer = tl.where(found < k, found, fewer)
        least, most, count = _halved(least, most, count, guess, found, k)
        guess = _next_guess(least, most, count, fewer, k, turn)
        turn += 1
    end, begin = cols, -1
    while (count != k) & (end - begin > 1):
        middle = (begin + end) // 2
        found = tl.sum(_chosen(key, col, least, middle).to(tl.int32), 0)
        end, begin, count = _halved(end, begin, count, middle, found, k)
    _put(out, col, here, _chosen(key, col, least, end), there)


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
