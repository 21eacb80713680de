"""The kernels of wanda.py for whole rows: the k-th best score by counting.

    found(t) = how many scores are at least t      k-th best = max t: found(t) >= k

Bits of scores are integers in their order, so this is a search for an integer. Lines
through the counts at two bounds find a t with found(t) = k, any of which will do, in
some 7 counts: scores are dense around the k-th. Halves would need 18, and take over
where lines do not arrive: of equals no t cuts off k, and then a column does.

Read in order: `_first_guess`, `_next_guess`; `streamed_row`, `held_row`.
"""

from lib.kernels.core.blocks import follow
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.wanda.runs_triton import NAN, _keys, _put

REGISTERS = 64  # of a thread that holds a row: 32 warps a multiprocessor
STEP = tl.constexpr(1 << 21)  # a quarter of the way to twice the score
LINES = tl.constexpr(12)  # turns of a search until halves take over
VARY = ("k", "tail")


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

    A first bound may be far: steps grow by squares.
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
    CHAINED: tl.constexpr,
):  # fmt: skip
    """One program, one row of any length, read again for every count."""
    follow(CHAINED)
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
    CHAINED: tl.constexpr,
):  # fmt: skip
    """The row is read once and stays in registers; a search ends at a count of k.

    Different scores are apart after some 7 counts; equals need a search for a column.
    """
    follow(CHAINED)
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
