"""The kernels of wanda/masks.py for whole rows: the k-th best score by counting.

    found(t) = how many scores are at least t      k-th best = max t: found(t) >= k

A program has one row. It never sorts: it searches for a threshold t that exactly k
scores reach, and keeps those. Scores are compared as `keys`: bits of a float32 that is
not negative are integers in the order of the numbers, so t is an integer too.

The search holds two bounds, least <= t < most, and the counts of keys that reach them:
count >= k and fewer < k. Each turn guesses a t between them, counts the keys that reach
it (all threads of the program, then one sum), and replaces one bound. It ends when a
count is k, or when the bounds are neighbours. The guess is where the straight line
through both counts is k: scores are dense around the k-th, so that some 7 turns do.
Halving would take 18; it takes over after LINES turns, so that no row takes long.

Equal scores may leave no t with a count of k. Then the bounds end as neighbours: every
key above `least` is kept, and of those equal to it the first ones. A second search, by
halves, finds the column before which just enough of them lie.

Past the end of a row keys are 0, columns are past `cols`, and nothing is written. A
threshold is at least 1 as long as it is guessed, so these keys are counted only for the
bound 0, whose count `cols` is set beforehand and never counted.

Read in order: `_first_guess`, `_next_guess`; `streamed_row`, `held_row`.
"""

from lib.kernels.core.blocks import pdl_wait
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.wanda.runs_triton import NAN, keys, store_kept

REGISTERS = 64  # of a thread that holds a row: 32 warps a multiprocessor
STEP = tl.constexpr(1 << 21)  # of keys: a quarter of the way to twice the score
LINES = tl.constexpr(12)  # turns of a search until halves take over
VARY = ("k", "tail")


@triton.jit
@no_type_check
def _load(w, norm, start, cols, BLOCK: tl.constexpr):
    """BLOCK weights of a row from `start` on, their keys and columns, and the mask."""
    col = start + tl.arange(0, BLOCK)
    mask = col < cols
    weights = tl.load(w + col, mask=mask, other=0)
    norms = tl.load(norm + col, mask=mask, other=0)
    return weights, keys(weights, norms), col, mask


@triton.jit
@no_type_check
def _selected(key, col, least, end):
    """Which keys are above `least`, or equal to it in a column before `end`."""
    return (key > least) | ((key == least) & (col < end))


@triton.jit
@no_type_check
def _narrowed(enough, few, count, middle, found, k):
    """The bounds of a search after `found` was counted at `middle`, and the count.

    `enough` is the bound at which at least k are found, `count` of them; `few` the
    other one.
    """
    below = found < k
    few = tl.where(below, middle, few)
    enough = tl.where(below, enough, middle)
    return enough, few, tl.where(below, count, found)


@triton.jit
@no_type_check
def _first_guess(total, cols, tail):
    """mean · ln(cols / k): the k-th best of scores spread exponentially, as a key."""
    bits = (total / cols * tail).to(tl.int32, bitcast=True)
    return tl.minimum(tl.maximum(bits & 0x7FFFFFFF, 1), NAN)


@triton.jit
@no_type_check
def _next_guess(least, most, count, fewer, k, turn):
    """The key where the line through (least, count) and (most, fewer) is k.

    While one bound is still the end of all keys there is no line: the guess is a step
    away from the other bound. The first guess may have been far off, so steps grow with
    the square of the turn, up to half of the way. From turn LINES on halves are taken.
    Always least < guess < most, so that every turn narrows the search.
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
def _count_selected(w, norm, cols, least, end, BLOCK: tl.constexpr):
    """How many of a whole row are selected, read in blocks."""
    found = 0
    for start in range(0, cols, BLOCK):
        _, key, col, _ = _load(w, norm, start, cols, BLOCK)
        found += tl.sum(_selected(key, col, least, end).to(tl.int32), 0)
    return found


@triton.jit(do_not_specialize=VARY)
@no_type_check
def streamed_row(
    w,  # (rows, cols)
    norm,  # (cols,): ‖x_j‖
    out,  # (rows, cols): the mask as bytes, or W masked
    cols,
    k,  # how many are kept
    tail,  # ln(cols / k)
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """One program prunes one row of any length, and reads it again for every count.

    For rows that registers cannot hold. It reads BLOCK columns at a time: once for the
    mean, once a turn of either search, and once to write what is kept.
    """
    pdl_wait(PDL, FIRST_LAUNCH=True)
    w += tl.program_id(0).to(tl.int64) * cols
    out += tl.program_id(0).to(tl.int64) * cols
    total = 0.0
    for start in range(0, cols, BLOCK):
        _, key, _, _ = _load(w, norm, start, cols, BLOCK)
        total += tl.sum(key.to(tl.float32, bitcast=True), 0)
    guess, turn = _first_guess(total, cols, tail), 0
    least, most, count, fewer = 0, NAN + 1, cols, 0
    while (count != k) & (most - least > 1):
        found = _count_selected(w, norm, cols, guess, cols, BLOCK)
        fewer = tl.where(found < k, found, fewer)
        least, most, count = _narrowed(least, most, count, guess, found, k)
        guess = _next_guess(least, most, count, fewer, k, turn)
        turn += 1
    end, begin = cols, -1
    while (count != k) & (end - begin > 1):
        middle = (begin + end) // 2
        found = _count_selected(w, norm, cols, least, middle, BLOCK)
        end, begin, count = _narrowed(end, begin, count, middle, found, k)
    for start in range(0, cols, BLOCK):
        weights, key, col, mask = _load(w, norm, start, cols, BLOCK)
        store_kept(out, col, mask, _selected(key, col, least, end), weights)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def held_row(
    w, norm, out,
    cols,
    k,
    tail,
    BLOCK: tl.constexpr,  # at least cols
    PDL: tl.constexpr,
):  # fmt: skip
    """One program prunes one row, read once and held in its threads' registers.

    Each thread has the same columns in every count: it compares its keys with the
    guess, and one sum over the program makes the count. Different scores are apart
    after some 7 counts; only equals need the second search.
    """
    pdl_wait(PDL, FIRST_LAUNCH=True)
    w += tl.program_id(0).to(tl.int64) * cols
    out += tl.program_id(0).to(tl.int64) * cols
    weights, key, col, mask = _load(w, norm, 0, cols, BLOCK)
    total = tl.sum(key.to(tl.float32, bitcast=True), 0)
    guess, turn = _first_guess(total, cols, tail), 0
    least, most, count, fewer = 0, NAN + 1, cols, 0
    while (count != k) & (most - least > 1):
        found = BLOCK + tl.sum((key - guess) >> 31, 0)  # -1 where below
        fewer = tl.where(found < k, found, fewer)
        least, most, count = _narrowed(least, most, count, guess, found, k)
        guess = _next_guess(least, most, count, fewer, k, turn)
        turn += 1
    end, begin = cols, -1
    while (count != k) & (end - begin > 1):
        middle = (begin + end) // 2
        found = tl.sum(_selected(key, col, least, middle).to(tl.int32), 0)
        end, begin, count = _narrowed(end, begin, count, middle, found, k)
    store_kept(out, col, mask, _selected(key, col, least, end), weights)
