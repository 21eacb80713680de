"""The kernels of int8.py: outliers found and set aside, tokens coded, codes multiplied.

    y[m, n] = s_w[n] (s_x[m] Σ_k q_x[m, k] q_w[n, k] + Σ_{j ∈ O} x[m, j] q_w[n, j])

q_x is 0 in the columns of O, so that the first sum runs over all k. O is a list in
device memory that begins with its length: the kernels loop as often as it says, and no
host waits to hear how many outliers there are.

Rounding: 0x4B400000 as float32 is 1.5 · 2²³, where neighbours are 1 apart; so adding it
rounds half to even, and the lowest byte of the sum is the code.

Read in order: `mark`, `encode`, then the products `naive`, `wide`, `skinny`; `_finish`.
"""

from lib.kernels.core.blocks import VARY, fetch, follow, place, store
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.quant.outliers.int8 import TINY

_TINY = tl.constexpr(TINY)
_ROUND = tl.constexpr(1.5 * 2**23)
_STEP = tl.constexpr(1 / 127)  # s of C = 1


@triton.jit
@no_type_check
def _reaches(values, threshold):
    """1 where |x| >= threshold or x is NaN, else 0."""
    return tl.where(tl.abs(values.to(tl.float32)) < threshold, 0, 1)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def mark(
    x,  # (M, K)
    flags,  # (K,), in the dtype of x
    threshold,
    M, K,
    SPLIT: tl.constexpr,  # several programs share a column, whose flag begins as 0
    TOKENS: tl.constexpr,
    COLS: tl.constexpr,
    CHAINED: tl.constexpr,
):  # fmt: skip
    """1 in each column that holds an outlier. Who writes there writes the same."""
    follow(CHAINED)
    k = tl.program_id(0) * COLS + tl.arange(0, COLS)
    token = (tl.program_id(1) * TOKENS + tl.arange(0, TOKENS))[:, None]
    here = (token < M) & (k < K)[None, :]
    values = tl.load(x + token.to(tl.int64) * K + k[None, :], mask=here, other=0)
    flag = tl.max(_reaches(values, threshold), 0)
    wanted = k < K
    if SPLIT:
        wanted = wanted & (flag != 0)
    tl.store(flags + k, flag.to(x.dtype.element_ty), mask=wanted)


@triton.jit
@no_type_check
def _marked(x, flags, threshold, k, M, K, FEW: tl.constexpr):
    """Which columns hold outliers, as 0 and 1: from x itself, where tokens are few."""
    if FEW:
        token = tl.arange(0, FEW)[:, None]
        here = (token < M) & (k < K)[None, :]
        values = tl.load(x + token * K + k[None, :], mask=here, other=0)
        return tl.max(_reaches(values, threshold), 0)
    else:
        return tl.load(flags + k, mask=k < K, other=0).to(tl.int32)


@triton.jit
@no_type_check
def _list(x, flags, found, threshold, M, K, FEW: tl.constexpr, BLOCK: tl.constexpr):
    """found = |O|, then the columns of O, ascending."""
    count = 0
    for first in range(0, K, BLOCK):
        k = first + tl.arange(0, BLOCK)
        marked = _marked(x, flags, threshold, k, M, K, FEW)
        at = count + tl.cumsum(marked, 0)
        tl.store(found + at, k, mask=marked != 0)
        count += tl.sum(marked, 0)
    tl.store(found, count)


@triton.jit
@no_type_check
def _regular(x, row, flags, threshold, k, M, K, FEW: tl.constexpr):
    """A token's values, and 0 in the columns of O."""
    marked = _marked(x, flags, threshold, k, M, K, FEW)
    return tl.where(
        marked != 0, 0, tl.load(row + k, mask=k < K, other=0).to(tl.float32)
    )


@triton.jit(do_not_specialize=VARY)
@no_type_check
def encode(
    x, flags, threshold,
    codes,  # (M, K)
    constants,  # (M,)
    found,  # (1 + K,)
    M, K,
    FEW: tl.constexpr,
    BLOCK: tl.constexpr,
    CHAINED: tl.constexpr,
):  # fmt: skip
    """Each program codes a token, bit for bit as lib.quant; one more lists O."""
    follow(CHAINED)
    m = tl.program_id(0)
    if m == M:
        _list(x, flags, found, threshold, M, K, FEW, BLOCK)
    else:
        row, coded = x + m.to(tl.int64) * K, codes + m.to(tl.int64) * K
        most = tl.zeros((BLOCK,), tl.float32)
        for first in range(0, K, BLOCK):
            k = first + tl.arange(0, BLOCK)
            value = _regular(x, row, flags, threshold, k, M, K, FEW)
            most = tl.maximum(most, tl.abs(value))
        constant = tl.maximum(tl.max(most, 0), _TINY)
        tl.store(constants + m, constant)
        scale = 127.0 * tl.div_rn(1.0, constant)  # torch's 127 / C rounds twice
        for first in range(0, K, BLOCK):
            k = first + tl.arange(0, BLOCK)
            value = _regular(x, row, flags, threshold, k, M, K, FEW)
            nearest = value * scale + _ROUND
            code = nearest.to(tl.int32, bitcast=True).to(tl.int8)
            tl.store(coded + k, code, mask=k < K)


@triton.jit
@no_type_check
def _finish(
    total,  # (rows, batch) in int32: Σ q_x q_w
    x, constants, found, w, w_constants, bias, y,
    row, token, n, M, N, K,
    BIAS: tl.constexpr,
    COLUMNS: tl.constexpr,  # of O at a time
):  # fmt: skip
    """Rescale, add the outliers' product and the bias, and write y, rounded once."""
    m = tl.minimum(token, M - 1)
    out = total.to(tl.float32) * (tl.load(constants + m) * _STEP)[None, :]
    x += m.to(tl.int64)[None, :] * K
    w += n.to(tl.int64)[:, None] * K
    count = tl.load(found)
    for first in range(0, count, COLUMNS):
        j = first + tl.arange(0, COLUMNS)
        there = j < count
        k = tl.load(found + 1 + j, mask=there, other=0)
        q = tl.load(w + k[None, :], mask=there[None, :], other=0)
        values = tl.load(x + k[:, None], mask=there[:, None], other=0)
        out = tl.dot(q.to(values.dtype), values, out, input_precision="ieee")
    out *= (tl.load(w_constants + n) * _STEP)[:, None]
    if BIAS:
        out += tl.load(bias + n).to(tl.float32)[:, None]
    store(y, out, row, token, M, N)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def naive(
    x, codes, constants, found, w, w_constants, bias, y,
    M, N, K,
    BIAS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """One program, one number: no code serves two tokens, no matrix unit is asked."""
    n, m = tl.program_id(0), tl.program_id(1)
    x, codes = x + m.to(tl.int64) * K, codes + m.to(tl.int64) * K
    w += n.to(tl.int64) * K
    total = 0
    for first in range(0, K, BLOCK):
        k = first + tl.arange(0, BLOCK)
        q = tl.load(w + k, mask=k < K, other=0).to(tl.int32)
        total += tl.sum(q * tl.load(codes + k, mask=k < K, other=0), 0)
    out = total.to(tl.float32) * (tl.load(constants + m) * _STEP)
    for j in range(0, tl.load(found)):
        k = tl.load(found + 1 + j)
        out += tl.load(x + k).to(tl.float32) * tl.load(w + k).to(tl.float32)
    out *= tl.load(w_constants + n) * _STEP
    if BIAS:
        out += tl.load(bias + n).to(tl.float32)
    tl.store(y + m.to(tl.int64) * N + n, out.to(y.dtype.element_ty))


@triton.jit(do_not_specialize=VARY)
@no_type_check
def wide(
    x,  # (M, K)
    codes,  # (M, K), with 0 in the columns of O
    constants,  # (M,)
    found,  # (1 + K,)
    w,  # (N, K), codes
    w_constants,  # (N,)
    bias,  # (N,)
    y,  # (M, N)
    M, N, K,
    BIAS: tl.constexpr,
    SEAMLESS: tl.constexpr,  # BLOCK divides K
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    BLOCK: tl.constexpr,  # columns at a time
    GROUP: tl.constexpr,
    COLUMNS: tl.constexpr,
    STAGES: tl.constexpr,
    CHAINED: tl.constexpr,
):  # fmt: skip
    """A tile of Ŵ against a tile of codes on the matrix unit, copies running ahead.

    Neighbouring programs share GROUP blocks of tokens and then move on to other rows,
    so that what they read is still in the cache.
    """
    down, across = tl.swizzle2d(
        tl.program_id(1),
        tl.program_id(0),
        tl.num_programs(1),
        tl.num_programs(0),
        GROUP,
    )
    row = across * ROWS + tl.arange(0, ROWS)
    token = down * BATCH + tl.arange(0, BATCH)
    n, m = tl.minimum(row, N - 1), tl.minimum(token, M - 1)
    i = tl.arange(0, BLOCK)
    left = w + n.to(tl.int64)[:, None] * K + i[None, :]
    right = codes + m.to(tl.int64)[None, :] * K + i[:, None]
    total = tl.zeros((ROWS, BATCH), tl.int32)
    fetch(w + n.to(tl.int64) * K, CHAINED)
    follow(CHAINED)
    for first in tl.range(0, K, BLOCK, num_stages=STAGES):
        if SEAMLESS:
            q, there = tl.load(left + first), tl.load(right + first)
        else:
            here = first + i < K
            q = tl.load(left + first, mask=here[None, :], other=0)
            there = tl.load(right + first, mask=here[:, None], other=0)
        total = tl.dot(q, there, total, out_dtype=tl.int32)
    _finish(
        total, x, constants, found, w, w_constants, bias, y,
        row, token, n, M, N, K, BIAS, COLUMNS,
    )  # fmt: skip


@triton.jit(do_not_specialize=VARY)
@no_type_check
def skinny(
    x, codes, constants, found, w, w_constants, bias, y,
    M, N, K,
    BIAS: tl.constexpr,
    SEAMLESS: tl.constexpr,  # BLOCK · SPLITS divides K
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    BLOCK: tl.constexpr,
    COLUMNS: tl.constexpr,
    STAGES: tl.constexpr,
    CHAINED: tl.constexpr,
):  # fmt: skip
    """`wide` with the columns split among the warps of a program, for few tokens.

    A batched product gives each warp BLOCK columns a turn, so that few rows still keep
    many warps busy; their integers are added once, at the end.
    """
    row, token, n, right = place(codes, M, N, K, ROWS, BATCH)
    i = tl.arange(0, SPLITS)[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :]
    left = w + n.to(tl.int64)[None, :, None] * K + i[:, None, :]
    right = right[None] + i[:, :, None]
    total = tl.zeros((SPLITS, ROWS, BATCH), tl.int32)
    turn = tl.arange(0, SPLITS)[:, None] * BLOCK
    for first in tl.static_range(0, STAGES * SPLITS * BLOCK, SPLITS * BLOCK):
        line = n.to(tl.int64)[None, :] * K + tl.minimum(first + turn, K - 1)
        fetch(w + line, CHAINED)
    follow(CHAINED)
    for first in tl.range(0, K, SPLITS * BLOCK, num_stages=STAGES):
        if SEAMLESS:
            q, there = tl.load(left + first), tl.load(right + first)
        else:
            here = first + i < K
            q = tl.load(left + first, mask=here[:, None, :], other=0)
            there = tl.load(right + first, mask=here[:, :, None], other=0)
        total = tl.dot(q, there, total, out_dtype=tl.int32)
    _finish(
        tl.sum(total, 0), x, constants, found, w, w_constants, bias, y,
        row, token, n, M, N, K, BIAS, COLUMNS,
    )  # fmt: skip
