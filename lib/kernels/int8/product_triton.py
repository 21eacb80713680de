"""The kernels of int8/product.py: outliers set aside, tokens coded, codes multiplied.

    y[m, n] = s_w[n] (s_x[m] Σ_k q_x[m, k] q_w[n, k] + Σ_{j ∈ O} x[m, j] q_w[n, j])

q_x is 0 in the columns of O, so that the first sum runs over all k. O is a list in
device memory that begins with its length: kernels loop as often as it says, and no
host waits for it.

Three launches. `mark` writes a flag a column, a program a block of TOKENS x COLS.
`encode` has a program for each token, which finds the largest |x| outside O and writes
the token's codes, and one more program, which makes the list. (Up to four tokens
`mark` is left out: each program of `encode` looks at all of x itself.) `wide` or
`skinny` makes tiles of y, ROWS rows of Ŵ times BATCH tokens: int8 products on the
matrix unit over all columns, then the outliers' columns in the dtype of x.

Where K ends inside a block both operands read 0, except where K is SEAMLESS. Where
rows and tokens end inside a tile the last one is read again and nothing is written.

Rounding: 0x4B400000 as float32 is 1.5 · 2²³, where neighbours are 1 apart; so adding it
rounds half to even, and the lowest byte of the sum is the code.

Read in order: `mark`, `encode`, then the products `naive`, `wide`, `skinny`; `_finish`.
"""

from lib.kernels.core.blocks import VARY, pdl_wait, prefetch_l2, rows_and_tokens, store
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.quant.outliers.int8 import TINY

_TINY = tl.constexpr(TINY)
_ROUND = tl.constexpr(1.5 * 2**23)
_SCALE = tl.constexpr(1 / 127)  # s of C = 1


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
    SHARED: tl.constexpr,  # several programs share a column, whose flag begins as 0
    TOKENS: tl.constexpr,
    COLS: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Program (k, m) flags those of COLS columns in which one of TOKENS tokens reaches.

    Programs that share a column write only 1, over a 0: whichever writes, the flag is
    the same. A program alone with its columns writes both.
    """
    pdl_wait(PDL, FIRST_LAUNCH=True)
    k_index = tl.program_id(0) * COLS + tl.arange(0, COLS)
    token = (tl.program_id(1) * TOKENS + tl.arange(0, TOKENS))[:, None]
    mask = (token < M) & (k_index < K)[None, :]
    values = tl.load(x + token.to(tl.int64) * K + k_index[None, :], mask=mask, other=0)
    flag = tl.max(_reaches(values, threshold), 0)
    mask = k_index < K
    if SHARED:
        mask = mask & (flag != 0)
    tl.store(flags + k_index, flag.to(x.dtype.element_ty), mask=mask)


@triton.jit
@no_type_check
def _marked(x, flags, threshold, k_index, M, K, FEW: tl.constexpr):
    """Which columns hold outliers, as 0 and 1: from x itself, where tokens are few."""
    if FEW:
        token = tl.arange(0, FEW)[:, None]
        mask = (token < M) & (k_index < K)[None, :]
        values = tl.load(x + token * K + k_index[None, :], mask=mask, other=0)
        return tl.max(_reaches(values, threshold), 0)
    else:
        return tl.load(flags + k_index, mask=k_index < K, other=0).to(tl.int32)


@triton.jit
@no_type_check
def _list(x, flags, found, threshold, M, K, FEW: tl.constexpr, BLOCK: tl.constexpr):
    """found = |O|, then the columns of O, ascending."""
    count = 0
    for first in range(0, K, BLOCK):
        k_index = first + tl.arange(0, BLOCK)
        marked = _marked(x, flags, threshold, k_index, M, K, FEW)
        rank = count + tl.cumsum(marked, 0)  # 1 for the first one
        tl.store(found + rank, k_index, mask=marked != 0)
        count += tl.sum(marked, 0)
    tl.store(found, count)


@triton.jit
@no_type_check
def _regular(x, row, flags, threshold, k_index, M, K, FEW: tl.constexpr):
    """A token's values, and 0 in the columns of O."""
    marked = _marked(x, flags, threshold, k_index, M, K, FEW)
    values = tl.load(row + k_index, mask=k_index < K, other=0)
    return tl.where(marked != 0, 0, values.to(tl.float32))


@triton.jit(do_not_specialize=VARY)
@no_type_check
def encode(
    x, flags, threshold,
    codes,  # (M, K)
    x_absmax,  # (M,)
    found,  # (1 + K,)
    M, K,
    FEW: tl.constexpr,  # 0, or so many tokens at most, and no flags
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Program m < M codes token m, bit for bit as lib.quant; program M lists O.

    A token is read twice, BLOCK columns at a time: for its largest |x|, and to code it.
    """
    pdl_wait(PDL, FIRST_LAUNCH=True)
    m = tl.program_id(0)
    if m == M:
        _list(x, flags, found, threshold, M, K, FEW, BLOCK)
    else:
        row, coded = x + m.to(tl.int64) * K, codes + m.to(tl.int64) * K
        largest = tl.zeros((BLOCK,), tl.float32)
        for first in range(0, K, BLOCK):
            k_index = first + tl.arange(0, BLOCK)
            value = _regular(x, row, flags, threshold, k_index, M, K, FEW)
            largest = tl.maximum(largest, tl.abs(value))
        absmax = tl.maximum(tl.max(largest, 0), _TINY)
        tl.store(x_absmax + m, absmax)
        inverse = 127.0 * tl.div_rn(1.0, absmax)  # torch's 127 / C rounds twice
        for first in range(0, K, BLOCK):
            k_index = first + tl.arange(0, BLOCK)
            value = _regular(x, row, flags, threshold, k_index, M, K, FEW)
            nearest = value * inverse + _ROUND
            code = nearest.to(tl.int32, bitcast=True).to(tl.int8)
            tl.store(coded + k_index, code, mask=k_index < K)


@triton.jit
@no_type_check
def _finish(
    total,  # (rows, batch) in int32: Σ q_x q_w
    x, x_absmax, found, w, w_absmax, bias, y,
    row, token, n, M, N, K,
    BIAS: tl.constexpr,
    COLUMNS: tl.constexpr,  # of O at a time
):  # fmt: skip
    """Rescale, add the outliers' product and the bias, and write y, rounded once."""
    m = tl.minimum(token, M - 1)
    out = total.to(tl.float32) * (tl.load(x_absmax + m) * _SCALE)[None, :]
    x += m.to(tl.int64)[None, :] * K
    w += n.to(tl.int64)[:, None] * K
    count = tl.load(found)
    for first in range(0, count, COLUMNS):
        j = first + tl.arange(0, COLUMNS)
        mask = j < count
        k_index = tl.load(found + 1 + j, mask=mask, other=0)
        q = tl.load(w + k_index[None, :], mask=mask[None, :], other=0)
        x_tile = tl.load(x + k_index[:, None], mask=mask[:, None], other=0)
        out = tl.dot(q.to(x_tile.dtype), x_tile, out, input_precision="ieee")
    out *= (tl.load(w_absmax + n) * _SCALE)[:, None]
    if BIAS:
        out += tl.load(bias + n).to(tl.float32)[:, None]
    store(y, out, row, token, M, N)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def naive(
    x, codes, x_absmax, found, w, w_absmax, bias, y,
    M, N, K,
    BIAS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Program (n, m) makes y[m, n], BLOCK columns at a time, without a matrix unit."""
    n, m = tl.program_id(0), tl.program_id(1)
    x, codes = x + m.to(tl.int64) * K, codes + m.to(tl.int64) * K
    w += n.to(tl.int64) * K
    total = 0
    for first in range(0, K, BLOCK):
        k_index = first + tl.arange(0, BLOCK)
        q = tl.load(w + k_index, mask=k_index < K, other=0).to(tl.int32)
        total += tl.sum(q * tl.load(codes + k_index, mask=k_index < K, other=0), 0)
    out = total.to(tl.float32) * (tl.load(x_absmax + m) * _SCALE)
    for j in range(0, tl.load(found)):
        k_index = tl.load(found + 1 + j)
        q = tl.load(w + k_index).to(tl.float32)
        out += tl.load(x + k_index).to(tl.float32) * q
    out *= tl.load(w_absmax + n) * _SCALE
    if BIAS:
        out += tl.load(bias + n).to(tl.float32)
    tl.store(y + m.to(tl.int64) * N + n, out.to(y.dtype.element_ty))


@triton.jit(do_not_specialize=VARY)
@no_type_check
def wide(
    x,  # (M, K)
    codes,  # (M, K), with 0 in the columns of O
    x_absmax,  # (M,)
    found,  # (1 + K,)
    w,  # (N, K), codes
    w_absmax,  # (N,)
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
    PDL: tl.constexpr,
):  # fmt: skip
    """A program makes a tile of y over all columns; its warps share each block of them.

    Copies of the next STAGES - 1 blocks run ahead in the background. Neighbouring
    programs share GROUP blocks of tokens and then move on to other rows, so that what
    they read is still in the cache.
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
    prefetch_l2(w + n.to(tl.int64) * K, PDL)
    pdl_wait(PDL)
    for first in tl.range(0, K, BLOCK, num_stages=STAGES):
        if SEAMLESS:
            q, x_tile = tl.load(left + first), tl.load(right + first)
        else:
            mask = first + i < K
            q = tl.load(left + first, mask=mask[None, :], other=0)
            x_tile = tl.load(right + first, mask=mask[:, None], other=0)
        total = tl.dot(q, x_tile, total, out_dtype=tl.int32)
    _finish(
        total, x, x_absmax, found, w, w_absmax, bias, y,
        row, token, n, M, N, K, BIAS, COLUMNS,
    )  # fmt: skip


@triton.jit(do_not_specialize=VARY)
@no_type_check
def skinny(
    x, codes, x_absmax, found, w, w_absmax, bias, y,
    M, N, K,
    BIAS: tl.constexpr,
    SEAMLESS: tl.constexpr,  # BLOCK · SPLITS divides K
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    BLOCK: tl.constexpr,
    COLUMNS: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """A program makes a tile of y over all columns; each warp has blocks of its own.

    For few tokens. A batched product gives each of SPLITS warps BLOCK columns a turn,
    so that few rows still keep many warps busy; their integers are added once, at the
    end. Where the last turn has too few columns, a warp reads zeros.
    """
    row, token, n, right = rows_and_tokens(codes, M, N, K, ROWS, BATCH)
    i = tl.arange(0, SPLITS)[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :]
    left = w + n.to(tl.int64)[None, :, None] * K + i[:, None, :]
    right = right[None] + i[:, :, None]
    total = tl.zeros((SPLITS, ROWS, BATCH), tl.int32)
    turn = tl.arange(0, SPLITS)[:, None] * BLOCK
    for first in tl.static_range(0, STAGES * SPLITS * BLOCK, SPLITS * BLOCK):
        line = n.to(tl.int64)[None, :] * K + tl.minimum(first + turn, K - 1)
        prefetch_l2(w + line, PDL)
    pdl_wait(PDL)
    for first in tl.range(0, K, SPLITS * BLOCK, num_stages=STAGES):
        if SEAMLESS:
            q, x_tile = tl.load(left + first), tl.load(right + first)
        else:
            mask = first + i < K
            q = tl.load(left + first, mask=mask[:, None, :], other=0)
            x_tile = tl.load(right + first, mask=mask[:, :, None], other=0)
        total = tl.dot(q, x_tile, total, out_dtype=tl.int32)
    _finish(
        tl.sum(total, 0), x, x_absmax, found, w, w_absmax, bias, y,
        row, token, n, M, N, K, BIAS, COLUMNS,
    )  # fmt: skip
