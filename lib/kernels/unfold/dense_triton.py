"""The kernels of unfold.py: a chunk of words becomes four planes of Ŵ.

Read in order: `int4`, `nf4`.
"""

from lib.kernels.core.blocks import constant_of
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.int4.product_triton import _step, _stored, _zero
from lib.kernels.nf4.product_triton import code_at, double


@triton.jit
@no_type_check
def int4(
    codes,  # (chunks, N, L)
    constants,  # (chunks, N, words)
    w,  # (N, K)
    N, K, groups,
    G: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    Q: tl.constexpr,
    BITS: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    """ŵ = s (q - z), multiplied in float32 and rounded once."""
    c, i = tl.program_id(1), tl.arange(0, L)[None, :]
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    n = tl.minimum(row, N - 1)
    words = tl.load(codes + (c * N + n)[:, None] * L + i).to(tl.int32)
    w += row.to(tl.int64)[:, None] * K
    for j in tl.static_range(4):
        group, within = (4 * c + j) // P, (4 * c + j) % P * L + i
        r = _stored(constant_of(constants, 4 * c + j, n, N, Q, BITS), BITS)[:, None]
        value = (((words >> (4 * j)) & 15) - _zero(r)).to(tl.float32) * _step(r)
        here = (row < N)[:, None] & (within < G) & (group < groups)
        tl.store(w + group * G + within, value.to(w.dtype.element_ty), mask=here)


@triton.jit
@no_type_check
def nf4(
    codes, constants,
    nested, mean, dynamic,  # of double quantization
    levels,  # 16
    w,
    N, K, groups,
    G: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    Q: tl.constexpr,
    BITS: tl.constexpr,
    NESTED: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    """ŵ = c l_q, the same way."""
    c, i = tl.program_id(1), tl.arange(0, L)[None, :]
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    n, mu = tl.minimum(row, N - 1), tl.load(mean)
    words = codes + (c * N + n)[:, None] * L
    w += row.to(tl.int64)[:, None] * K
    for j in tl.static_range(4):
        group, within = (4 * c + j) // P, (4 * c + j) % P * L + i
        s = constant_of(constants, 4 * c + j, n, N, Q, BITS)
        if BITS == 8:
            block = n * groups + tl.minimum(group, groups - 1)
            s = double(s, tl.load(nested + block // NESTED), mu, dynamic)
        else:
            s = s.to(tl.float32, bitcast=True)
        value = tl.load(levels + code_at(words, j, i)) * s[:, None]
        here = (row < N)[:, None] & (within < G) & (group < groups)
        tl.store(w + group * G + within, value.to(w.dtype.element_ty), mask=here)
