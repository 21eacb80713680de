"""The kernels of soft_targets/rows.py: a program has a row, BLOCK numbers at a time.

    pass 1    max and Σ exp of s / T and of t / T (and of s, for gold labels)
    pass 2    Σ of the loss, and Σ q g where β > 0
    pass 3    the gradient, over s; for β = 0 it is made in pass 2

`naive` takes a pass for each maximum and each sum. `soft` takes both in one: each place
of a block keeps a running maximum and the sum of exponentials below it, which is
multiplied by exp(old − new) whenever the maximum grows; places meet once, at the end of
the row. So no step of the pass waits for another thread.

The gradient is written where s was read in the same turn, after a sum over all threads:
nobody reads the old s any more.

Read in order: `_pair`, `_terms`, `_gradient`, `naive`; `_met`, `soft`; `scale`.
Source: one pass: Milakov & Gimelshein 2018, arXiv:1805.02867.
"""

from lib.kernels.core.compiler import no_type_check, tl, triton

VARY = ("kd", "ce", "per_t", "beta")
LOW = tl.constexpr(-1.0e30)  # below every logit; a difference of two is no NaN


@triton.jit
@no_type_check
def _pair(s, t, start, V, BLOCK: tl.constexpr):
    """BLOCK logits of both models from `start` on; beyond the row, LOW."""
    col = start + tl.arange(0, BLOCK)
    a = tl.load(s + col, mask=col < V, other=LOW).to(tl.float32)
    b = tl.load(t + col, mask=col < V, other=LOW).to(tl.float32)
    return a, b, col


@triton.jit
@no_type_check
def _terms(log_p, log_q, beta, WAY: tl.constexpr):
    """A number's part of D_β, and of Σ q g, from logarithms of probabilities."""
    p, q = tl.exp(log_p), tl.exp(log_q)
    if WAY == 0:
        return p * (log_p - log_q), -p
    if WAY == 1:
        of_q = q * (log_q - log_p)
        return of_q, of_q
    log_m = tl.log(beta * p + (1 - beta) * q + 1e-38)
    of_q = (1 - beta) * q * (log_q - log_m)
    return beta * p * (log_p - log_m) + of_q, of_q


@triton.jit
@no_type_check
def _gradient(log_p, log_q, gold, beta, mean, kd_t, ce, WAY: tl.constexpr):
    """λ_kd T q (g − Σ q g) + λ_ce · gold, `gold` being softmax(s) − e_y."""
    part = _terms(log_p, log_q, beta, WAY)[1] - tl.exp(log_q) * mean
    return kd_t * part + ce * gold


@triton.jit(do_not_specialize=VARY)
@no_type_check
def naive(
    s,  # (rows, V): the student's logits, then the gradient
    t,  # (rows, V)
    labels,  # (rows,), int64
    loss,  # (rows,), float32
    V,
    kd, ce,
    per_t,  # 1 / T
    beta,
    WITH_CE: tl.constexpr,
    WAY: tl.constexpr,  # 0: β = 0, 1: β = 1, 2: between
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Maxima, then sums, then the loss, then the gradient: four passes."""
    row = tl.program_id(0).to(tl.int64)
    s, t, y = s + row * V, t + row * V, tl.load(labels + row)
    top_s, top_t = LOW, LOW
    for start in range(0, V, BLOCK):
        a, b, _ = _pair(s, t, start, V, BLOCK)
        top_s, top_t = tl.maximum(top_s, tl.max(a, 0)), tl.maximum(top_t, tl.max(b, 0))
    of_s, of_t, plain, at_y = 0.0, 0.0, 0.0, 0.0
    for start in range(0, V, BLOCK):
        a, b, col = _pair(s, t, start, V, BLOCK)
        of_s += tl.sum(tl.exp((a - top_s) * per_t), 0)
        of_t += tl.sum(tl.exp((b - top_t) * per_t), 0)
        plain += tl.sum(tl.exp(a - top_s), 0)
        at_y += tl.sum(tl.where(col == y, a, 0.0), 0)
    log_s, log_t = tl.log(of_s), tl.log(of_t)
    total, mean = 0.0, 0.0
    for start in range(0, V, BLOCK):
        a, b, col = _pair(s, t, start, V, BLOCK)
        log_q, log_p = (a - top_s) * per_t - log_s, (b - top_t) * per_t - log_t
        part, of_q = _terms(log_p, log_q, beta, WAY)
        total += tl.sum(tl.where(col < V, part, 0.0), 0)
        mean += tl.sum(tl.where(col < V, of_q, 0.0), 0)
    total = kd * total / (per_t * per_t)
    tl.store(loss + row, total + ce * (top_s + tl.log(plain) - at_y))
    for start in range(0, V, BLOCK):
        a, b, col = _pair(s, t, start, V, BLOCK)
        log_q, log_p = (a - top_s) * per_t - log_s, (b - top_t) * per_t - log_t
        gold = tl.exp(a - top_s) / plain - tl.where(col == y, 1.0, 0.0)
        new = _gradient(log_p, log_q, gold, beta, mean, kd / per_t, ce, WAY)
        tl.store(s + col, new.to(s.dtype.element_ty), mask=col < V)


@triton.jit
@no_type_check
def _met(top, part, per_t):
    """The maximum of all places, and the sum of exponentials below it."""
    highest = tl.max(top, 0)
    return highest, tl.sum(part * tl.exp((top - highest) * per_t), 0)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def soft(
    s, t, labels, loss,
    V,
    kd, ce, per_t, beta,
    WITH_CE: tl.constexpr,
    WAY: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Two passes over a row, or three where β > 0."""
    row = tl.program_id(0).to(tl.int64)
    s, t, y = s + row * V, t + row * V, tl.load(labels + row)
    top_s = tl.full((BLOCK,), LOW, tl.float32)
    top_t, plain = top_s, tl.zeros((BLOCK,), tl.float32)
    of_s, of_t, at_y = plain, plain, plain
    for start in range(0, V, BLOCK):
        a, b, col = _pair(s, t, start, V, BLOCK)
        new_s, new_t = tl.maximum(top_s, a), tl.maximum(top_t, b)
        of_s = of_s * tl.exp((top_s - new_s) * per_t) + tl.exp((a - new_s) * per_t)
        of_t = of_t * tl.exp((top_t - new_t) * per_t) + tl.exp((b - new_t) * per_t)
        if WITH_CE:
            plain = plain * tl.exp(top_s - new_s) + tl.exp(a - new_s)
            at_y += tl.where(col == y, a, 0.0)
        top_s, top_t = new_s, new_t
    high_t, sum_t = _met(top_t, of_t, per_t)
    high_s, sum_s = _met(top_s, of_s, per_t)
    log_s, log_t = tl.log(sum_s), tl.log(sum_t)
    whole, gold_loss, mean = 1.0, 0.0, -1.0
    if WITH_CE:
        _, whole = _met(top_s, plain, 1.0)
        gold_loss = high_s + tl.log(whole) - tl.sum(at_y, 0)
    parts = tl.zeros((BLOCK,), tl.float32)
    if WAY > 0:
        means = parts
        for start in range(0, V, BLOCK):
            a, b, col = _pair(s, t, start, V, BLOCK)
            log_q, log_p = (a - high_s) * per_t - log_s, (b - high_t) * per_t - log_t
            part, of_q = _terms(log_p, log_q, beta, WAY)
            parts += tl.where(col < V, part, 0.0)
            means += tl.where(col < V, of_q, 0.0)
        mean = tl.sum(means, 0)
    for start in range(0, V, BLOCK):
        a, b, col = _pair(s, t, start, V, BLOCK)
        log_q, log_p = (a - high_s) * per_t - log_s, (b - high_t) * per_t - log_t
        if WAY == 0:
            parts += tl.where(col < V, _terms(log_p, log_q, beta, WAY)[0], 0.0)
        gold = a
        if WITH_CE:
            gold = tl.exp(a - high_s) / whole - tl.where(col == y, 1.0, 0.0)
        new = _gradient(log_p, log_q, gold, beta, mean, kd / per_t, ce, WAY)
        tl.store(s + col, new.to(s.dtype.element_ty), mask=col < V)
    total = kd * tl.sum(parts, 0) / (per_t * per_t)
    tl.store(loss + row, total + ce * gold_loss)


@triton.jit
@no_type_check
def scale(x, factor, count, BLOCK: tl.constexpr):
    """x ← factor · x; a program that finds a factor of 1 ends there."""
    by = tl.load(factor).to(tl.float32)
    if by != 1.0:
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        old = tl.load(x + at, mask=at < count, other=0).to(tl.float32)
        tl.store(x + at, (by * old).to(x.dtype.element_ty), mask=at < count)
