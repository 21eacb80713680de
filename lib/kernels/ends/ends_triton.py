"""What stands before and after a product, inside its kernel or in one of its own.

    normed   y = s W x                      s = 1 / √(mean h² + ε), a number a token
    gated    y = silu(s G x) ⊙ (s U x)      W is G above U
    added    h' = h + W x,   x' = g ⊙ h'    and the squares of h' for the next s
    best     the largest of s W x, and its row

x is g ⊙ h: the gain of the norm is multiplied in by whoever wrote h, and its root mean
square, being one number a token, by whoever reads x, after the product. So a norm
costs no kernel, and no pass over h either. Its sum of squares comes in runs of RUN
numbers, which are added in one order.

A tile is (ROWS, BATCH): rows of W, and tokens. Of `gated` its lower half belongs to G
and its upper half to U, at the same rows of y.

Read in order: `Ends`, `rows_of`, `on_the_way`, `close`; `apart`, `embed`, `choose`.
"""

from typing import Any, NamedTuple

from lib.kernels.core.blocks import pdl_launch, pdl_wait, store
from lib.kernels.core.compiler import no_type_check, tl, triton

RUN = tl.constexpr(16)  # rows whose squares, or whose best, are one number
HELD = tl.constexpr(1024)  # numbers that a program can hold beside its product


class Ends(NamedTuple):
    """Pointers to what stands around a product; what an end does not need is unread."""

    squares: Any  # (M, runs of K): of h, before a norm
    h: Any  # (M, N) in float32: what a product is added to
    gain: Any  # (N)
    y: Any  # (M, N), or (M, N / 2): what comes out; of `added` the next x
    sum: Any  # (M, N) in float32: h'
    runs: Any  # (M, runs of N): squares of h', or the best of each run
    index: Any  # (M, runs of N): the row of that best
    eps: Any


@triton.jit
@no_type_check
def rows_of(N, ROWS: tl.constexpr, END: tl.constexpr):
    """A program's rows of y, the rows of W that they need, and where those begin."""
    i, first = tl.arange(0, ROWS), tl.program_id(0) * ROWS
    if END == "gated":
        HALF: tl.constexpr = ROWS // 2
        first = tl.program_id(0) * HALF
        upper = i // HALF * (N // 2)
        n = tl.minimum(first + i % HALF, N // 2 - 1) + upper
        top = first + tl.arange(0, 2)[None, :] * (N // 2)
        return first + tl.arange(0, HALF), n, top
    else:
        return first + i, tl.minimum(first + i, N - 1), first


@triton.jit
@no_type_check
def tokens_of(M, BATCH: tl.constexpr):
    """A program's tokens, and the same with the last one repeated."""
    token = tl.program_id(1) * BATCH + tl.arange(0, BATCH)
    return token, tl.minimum(token, M - 1).to(tl.int64)


@triton.jit
@no_type_check
def on_the_way(ends, row, t, N, K, RUNS: tl.constexpr, END: tl.constexpr):
    """What `close` needs, loaded now, so that it comes while the product is summed."""
    if END == "added":
        n = tl.minimum(row, N - 1)
        return tl.load(ends.h + t[None, :] * N + n[:, None]), tl.load(ends.gain + n)
    else:
        run, runs = tl.arange(0, RUNS)[None, :], (K + RUN - 1) // RUN
        at = ends.squares + t[:, None] * runs + run
        squares = tl.load(at, mask=run < runs, other=0)
        if RUNS * t.shape[0] > HELD:
            return tl.sum(squares, 1), 0.0
        else:
            return squares, 0.0


@triton.jit
@no_type_check
def close(total, loaded, ends, row, token, M, N, K, END: tl.constexpr):
    """The end of a tile of W x, by its name."""
    ROWS: tl.constexpr = total.shape[0]
    BATCH: tl.constexpr = total.shape[1]
    if END == "added":
        leave(total + loaded[0], loaded[1], ends, row, token, M, N)
    else:
        square = loaded[0]
        if len(square.shape) == 2:
            square = tl.sum(square, 1)
        s = 1 / tl.sqrt(square / K + ends.eps)
        total *= s[None, :]
        if END == "gated":
            pair = tl.reshape(total, (2, ROWS // 2, BATCH))
            gate, up = tl.split(tl.permute(pair, (1, 2, 0)))
            store(ends.y, up * gate / (1 + tl.exp(-gate)), row, token, M, N // 2)
        elif END == "best":
            total = tl.where((row < N)[:, None], total, float("-inf"))
            run = tl.reshape(total, (ROWS // RUN, RUN, BATCH))
            best = tl.max(run, 1)
            place = tl.arange(0, RUN)[None, :, None]
            place = tl.min(tl.where(run == best[:, None, :], place, RUN), 1)
            first, runs = tl.program_id(0) * (ROWS // RUN), (N + RUN - 1) // RUN
            number = first + tl.arange(0, ROWS // RUN)
            store(ends.runs, best, number, token, M, runs)
            store(ends.index, number[:, None] * RUN + place, number, token, M, runs)
        else:
            store(ends.y, total, row, token, M, N)


@triton.jit
@no_type_check
def leave(h, gain, ends, row, token, M, N):
    """Write a tile of h, g ⊙ h for the product after the norm, and h's squares."""
    ROWS: tl.constexpr = h.shape[0]
    store(ends.sum, h, row, token, M, N)
    store(ends.y, h * gain.to(tl.float32)[:, None], row, token, M, N)
    square = tl.where((row < N)[:, None], h * h, 0)
    runs = tl.sum(tl.reshape(square, (ROWS // RUN, RUN, h.shape[1])), 1)
    number = tl.program_id(0) * (ROWS // RUN) + tl.arange(0, ROWS // RUN)
    store(ends.runs, runs, number, token, M, (N + RUN - 1) // RUN)


@triton.jit(do_not_specialize=("M",))
@no_type_check
def apart(
    product,  # (M, N): W x
    ends, M, N, K,
    RUNS: tl.constexpr,
    END: tl.constexpr,
    ROWS: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """An end in a kernel of its own: program (n, m) takes ROWS numbers of token m."""
    pdl_launch(PDL)
    row, n, _ = rows_of(N, ROWS, END)
    token, t = tokens_of(M, 1)
    pdl_wait(PDL)
    loaded = on_the_way(ends, row, t, N, K, RUNS, END)
    total = tl.load(product + t[None, :] * N + n[:, None]).to(tl.float32)
    close(total, loaded, ends, row, token, M, N, K, END)


@triton.jit
@no_type_check
def embed(
    texts,  # (M, capacity)
    lengths,  # (M)
    table,  # (vocabulary, N)
    ends, M, N, capacity,
    ROWS: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """h of the token that stands behind the `length` known ones of each text.

    It waits before it lets the next kernel start: so whatever that and the ones after
    it do before they wait, they may read what the pass before has left.
    """
    row, n, _ = rows_of(N, ROWS, "added")
    token, t = tokens_of(M, 1)
    gain = tl.load(ends.gain + n)
    pdl_wait(PDL)
    place = t * capacity + tl.load(lengths + t)
    word = tl.load(texts + place).to(tl.int64)
    h = tl.load(table + word[None, :] * N + n[:, None]).to(tl.float32)
    leave(h, gain, ends, row, token, M, N)


@triton.jit
@no_type_check
def choose(
    best, index,  # (M, runs of N)
    texts, lengths, N, capacity,
    RUNS: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Write the best token of all runs, the first of equals, behind text m."""
    pdl_launch(PDL)
    m, run = tl.program_id(0).to(tl.int64), tl.arange(0, RUNS)
    pdl_wait(PDL)
    runs = (N + RUN - 1) // RUN
    mask = run < runs
    value = tl.load(best + m * runs + run, mask=mask, other=float("-inf"))
    place = tl.load(index + m * runs + run, mask=mask, other=0)
    least = tl.where(value == tl.max(value, 0), place, 0x7FFFFFFF)
    length = tl.load(lengths + m) + 1
    winner = tl.minimum(tl.min(least, 0), N - 1)  # whatever a NaN has done
    tl.store(texts + m * capacity + length, winner)
    tl.store(lengths + m, length)
