"""The kernel of cast/codes.py: a number's code, from the sum that rounds it.

    |x| + C = C + k gap        code = sign | (E - E_min) 2^m + k

C and the gap are those of rounding_triton.py. C ends in zeros, so the sum ends in k: a
subnormal has E = E_min, and the code k alone.

A program has PARTS blocks of BLOCK neighbouring values, all read before any is written.
Up to 4 bits a thread packs two neighbours into a byte. What exceeds `count` is masked.

Read in order: `_code`, `codes`.
"""

from lib.kernels.cast.rounding_triton import EXPONENT, SIGN, bits_of, value
from lib.kernels.core.compiler import no_type_check, tl, triton

CODED = ("least", "step", "lift", "by", "first", "cap", "limit", "quiet")


@triton.jit
@no_type_check
def _code(v, numbers, BITS: tl.constexpr, AT: tl.constexpr):
    """2^AT times the code of v, AT at least 24, and nothing else in the word.

    |v| + C modulo 2^8 is k, for C ends in zeros. Products and not shifts, because
    compares and masks keep their own unit busy.
    """
    least, step, lift, by, first, cap, limit, quiet = numbers
    MORE: tl.constexpr = 2 ** (AT - 24)
    a = tl.abs(v)
    low = tl.minimum(a, cap)
    c = tl.maximum(bits_of(low) & EXPONENT, least)  # of 2^E
    code = bits_of(low + value(c) * step) * (lift * MORE)
    code += c * (by * MORE) - first * MORE
    if AT + BITS == 32:
        code |= bits_of(v) & SIGN
    else:
        code |= (bits_of(v) >> (32 - AT - BITS)) & (1 << (AT + BITS - 1))
    return tl.where(a <= limit, code, quiet * MORE)


@triton.jit(do_not_specialize=CODED)
@no_type_check
def codes(
    x, y, count,
    least,  # bits of 2^E_min
    step,  # 2^(23 - m) = C / 2^E
    lift,  # 2^24: codes are made in a word's upper byte
    by, first,  # 2^(m + 1) of an exponent's bits, and of those of E_min
    cap,  # what numbers above it have the code of
    limit,  # what is not up to it has NaN's
    quiet,  # that code
    BITS: tl.constexpr,  # up to 4, two codes a byte, the first one in the lower half
    BLOCK: tl.constexpr,
    PARTS: tl.constexpr,  # blocks of a program, all read before any is written
):  # fmt: skip
    """Every value's code to nearest: (E - E_min) 2^m + k, and the sign."""
    numbers = (least, step, lift, by, first, cap, limit, quiet)
    BYTES: tl.constexpr = BLOCK if BITS > 4 else BLOCK // 2
    start = tl.program_id(0).to(tl.int64) * PARTS
    read = ()
    for part in tl.static_range(PARTS):
        offset = (start + part) * BLOCK + tl.arange(0, BLOCK)
        read += (tl.load(x + offset, mask=offset < count, other=0).to(tl.float32),)
    for part in tl.static_range(PARTS):
        if BITS > 4:
            code = _code(read[part], numbers, BITS, 24)
        else:
            low, high = tl.split(tl.reshape(read[part], (BYTES, 2)))
            code = _code(low, numbers, BITS, 24)
            code += _code(high, numbers, BITS, 28)
        code = (code.to(tl.uint32, bitcast=True) >> 24).to(tl.uint8)
        offset = (start + part) * BYTES + tl.arange(0, BYTES)
        tl.store(y + offset, code, mask=offset < count // (BLOCK // BYTES))
