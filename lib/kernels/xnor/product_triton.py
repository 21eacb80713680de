"""The kernel of xnor/product.py: words that differ, counted in registers.

    y[m, n] = K - 2 Σ_i popcount(a[m, i] XOR b[n, i])

Program (n, m) takes ROWS rows of B and BATCH rows of A, and a turn is WORDS words of
64 signs of each: BATCH · ROWS · WORDS counts, each added to a number of its own; at the
end the WORDS numbers of an output are summed. Words beyond the last read 0 in both
matrices, so that they do not differ.

There is no matrix unit in this kernel: a multiprocessor counts 8 words of 64 terms a
clock, 512 of them, where its int8 unit multiplies and adds 4,096 times.

Read in order: `popcount`, `product`.
Source: Courbariaux et al. 2016, arXiv:1602.02830, section 3.
"""

from lib.kernels.core.compiler import no_type_check, tl, triton


@triton.jit
@no_type_check
def popcount(words):
    """Bits that are 1, by sums of two, four and eight neighbours.

    The compiler knows the pattern, and makes one instruction of it (POPC).
    """
    pairs = words - ((words >> 1) & 0x5555555555555555)
    fours = (pairs & 0x3333333333333333) + ((pairs >> 2) & 0x3333333333333333)
    bytes_ = (fours + (fours >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (bytes_ * 0x0101010101010101) >> 56


@triton.jit
@no_type_check
def product(
    a,  # (M, W), words of 64 signs
    b,  # (N, W)
    y,  # (M, N), int32
    M, N, W, K,
    BATCH: tl.constexpr,
    ROWS: tl.constexpr,
    WORDS: tl.constexpr,
):  # fmt: skip
    """A Bᵀ of signs, one tile."""
    m = tl.program_id(1) * BATCH + tl.arange(0, BATCH)
    n = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    i = tl.arange(0, WORDS)[None, None, :]
    a += tl.minimum(m, M - 1).to(tl.int64)[:, None, None] * W + i
    b += tl.minimum(n, N - 1).to(tl.int64)[None, :, None] * W + i
    differ = tl.zeros((BATCH, ROWS, WORDS), tl.int32)
    for start in range(0, W, WORDS):
        inside = start + i < W
        left = tl.load(a + start, mask=inside, other=0)
        right = tl.load(b + start, mask=inside, other=0)
        unlike = (left ^ right).to(tl.uint64, bitcast=True)
        differ += popcount(unlike).to(tl.int32)
    total = K - 2 * tl.sum(differ, 2)
    out = y + m.to(tl.int64)[:, None] * N + n[None, :]
    tl.store(out, total, mask=(m < M)[:, None] & (n < N)[None, :])
