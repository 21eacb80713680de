"""The kernels of cast.py: a format's rounding, done by the adder of a wider float.

    E = max(⌊log2 |x|⌋, E_min)     C = 2^(E - m + 23)     x̂ = ±((|x| + C) - C)

From C to 2C neighbouring float32 are 2^(E-m) apart, which is the format's own gap. So
the adder rounds |x| + C to the nearest number of the format, ties to even, and taking C
off is exact. C is made of integers: the exponent's bits of |x|, held between those of
E_min and E_max, and 23 - m more. In float64 the same holds with 52.

Quotients x / (s t) decide ties too, so they are rounded exactly: to half gaps first,
h, and then by the sign of x - h s t. With t cut into halves of 12 bits, both products
are exact, and so is that sign.

Read in order: `nearest`, `stochastic`, `microscaled`; `largest`, `scaled`.
"""

from lib.kernels.core.compiler import no_type_check, tl, triton

FORMAT = ("least", "most", "drop", "top", "beyond")
SCALED = ("element", "element_step", "scale", "scale_step", "emax", "blocks")

_SIGN = tl.constexpr(-1 << 31)
_MAGNITUDE = tl.constexpr((1 << 31) - 1)
_EXPONENT = tl.constexpr(0xFF << 23)  # also infinity
_SIGN64 = tl.constexpr(-1 << 63)
_MAGNITUDE64 = tl.constexpr((1 << 63) - 1)
_EXPONENT64 = tl.constexpr(0x7FF << 52)
_DENORMAL = tl.constexpr(1 << 22)  # the bits of 2^-127
_UPPER = tl.constexpr(-1 << 12)  # leaves 12 bits of a float32's 24


@triton.jit
@no_type_check
def _value(bits):
    """The float of these bits."""
    if bits.dtype == tl.int64:
        return bits.to(tl.float64, bitcast=True)
    else:
        return bits.to(tl.float32, bitcast=True)


@triton.jit
@no_type_check
def _bits(v):
    """The bits of v as a float32."""
    return v.to(tl.float32).to(tl.int32, bitcast=True)


@triton.jit
@no_type_check
def _snap(v, c):
    """v ≥ 0 rounded to the gap of the floats from c on."""
    return (v + c) - c


@triton.jit
@no_type_check
def _wide(v, least, most, drop, WIDE: tl.constexpr):
    """Bits of the sign, |v|, and C, in float64 if WIDE."""
    if WIDE:
        bits = v.to(tl.float64).to(tl.int64, bitcast=True)
        exponent, sign = bits & _EXPONENT64, bits & _SIGN64
        magnitude = bits & _MAGNITUDE64
    else:
        bits = _bits(v)
        exponent, sign = bits & _EXPONENT, bits & _SIGN
        magnitude = bits & _MAGNITUDE
    c = tl.minimum(tl.maximum(exponent, least), most) + drop
    return sign, _value(magnitude), _value(c)


@triton.jit
@no_type_check
def _signed(a, sign):
    """A magnitude, or NaN, with the sign's bit put back."""
    if a.dtype == tl.float64:
        return _value(a.to(tl.int64, bitcast=True) | sign)
    else:
        return _value(_bits(a) | sign)


@triton.jit
@no_type_check
def _capped(a, top, beyond, WIDE: tl.constexpr):
    """A magnitude up to `top`, and `beyond` above; NaN stays."""
    if WIDE:
        top, beyond = top.to(tl.int64), beyond.to(tl.int64)
    return tl.where(a > _value(top), _value(beyond), a)


@triton.jit(do_not_specialize=FORMAT)
@no_type_check
def nearest(
    x, y,  # of `count` values
    count,
    least, most,  # bits of 2^E_min and 2^E_max
    drop,  # 23 - m in the exponent's place
    top, beyond,  # bits of the largest number, and of what becomes of those above
    WIDE: tl.constexpr,  # float64 does the work
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Every value to the nearest number of the format."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = at < count
    v = tl.load(x + at, mask=here, other=0)
    sign, a, c = _wide(v, least, most, drop, WIDE)
    a = _signed(_capped(_snap(a, c), top, beyond, WIDE), sign)
    tl.store(y + at, a.to(tl.float32).to(y.dtype.element_ty), mask=here)


@triton.jit
@no_type_check
def _tossed(a, word, least, drop, WIDE: tl.constexpr):
    """a ≥ 0 cut at the format's last bit, once a coin is added below it.

    A number below 2^E_min is cut in the sum with it, where gaps are its own.
    """
    if WIDE:
        below = drop >> 52
        coin = word.to(tl.uint32, bitcast=True).to(tl.int64) >> 8
        coin = (coin << 39) >> (63 - below)
        rest = (tl.full((), 1, tl.int64) << below) - 1
    else:
        below = drop >> 23
        coin = word.to(tl.uint32, bitcast=True) >> (32 - below)
        coin = coin.to(tl.int32, bitcast=True)
        rest = (1 << below) - 1
    base = tl.where(a < _value(least), _value(least), 0.0)
    bits = (a + base).to(coin.dtype, bitcast=True)
    return _value((bits + (rest - coin)) & ~rest) - base


@triton.jit(do_not_specialize=(*FORMAT, "seed"))
@no_type_check
def stochastic(
    x, y, count, seed, least, most, drop, top, beyond,
    WIDE: tl.constexpr,
    QUARTER: tl.constexpr,
    ROUNDS: tl.constexpr,
):  # fmt: skip
    """Up with the probability of the covered part of the gap, else down.

    One call of Philox gives four words, so a program does four runs of values, all
    read before any is written.
    """
    i = tl.arange(0, QUARTER)
    at = tl.program_id(0).to(tl.int64) * (4 * QUARTER) + i
    read = ()
    for j in tl.static_range(4):
        here = at + j * QUARTER
        read += (tl.load(x + here, mask=here < count, other=0),)
    words = tl.randint4x(seed, tl.program_id(0) * QUARTER + i, ROUNDS)
    for j in tl.static_range(4):
        sign, a, _ = _wide(read[j], least, most, drop, WIDE)
        tossed = _tossed(a, words[j], least, drop, WIDE)
        tossed = tl.where(a == a, _capped(tossed, top, beyond, WIDE), a)
        tossed = _signed(tossed, sign).to(tl.float32)
        here = at + j * QUARTER
        tl.store(y + here, tossed.to(y.dtype.element_ty), mask=here < count)


@triton.jit
@no_type_check
def _runs(program, blocks, SIZE: tl.constexpr, WIDTH: tl.constexpr, RUNS: tl.constexpr):
    """Where a program's blocks lie, and which of these places exist."""
    block = program * RUNS + tl.arange(0, RUNS)
    place = tl.arange(0, WIDTH)[None, :]
    here = (block < blocks)[:, None]
    if WIDTH != SIZE:
        here = here & (place < SIZE)
    return block.to(tl.int64)[:, None] * SIZE + place, here


@triton.jit
@no_type_check
def _offset(v, least, step):
    """C = 2^E step for v ≥ 0 that no overflow threatens."""
    return _value(tl.maximum(_bits(v) & _EXPONENT, least)) * step


@triton.jit
@no_type_check
def _power(code):
    """2^(code - 127) for codes up to 254."""
    return _value(tl.maximum(code << 23, _DENORMAL))


@triton.jit(do_not_specialize=SCALED)
@no_type_check
def microscaled(
    x, y, blocks,
    element, element_step, element_top,  # `least`, 2^(23 - m), the largest element
    emax,
    SIZE: tl.constexpr,  # values of a block
    WIDTH: tl.constexpr,  # and the power of two above
    RUNS: tl.constexpr,  # blocks of a program
):  # fmt: skip
    """A power of two a block: s = 2^(⌊log2 max|x|⌋ - E_max), from 2^-127 to 2^127."""
    at, here = _runs(tl.program_id(0), blocks, SIZE, WIDTH, RUNS)
    bits = _bits(tl.load(x + at, mask=here, other=0))
    largest = tl.max(bits & _MAGNITUDE, 1)
    code = tl.maximum((largest >> 23) - emax, 0)
    s = tl.where(largest < _EXPONENT, _power(code), float("nan"))
    a = _value(bits & _MAGNITUDE) * _power(254 - code)[:, None]
    a = _snap(a, _offset(a, element, element_step))
    a = _signed(tl.minimum(a, element_top) * s[:, None], bits & _SIGN)
    tl.store(y + at, a.to(y.dtype.element_ty), mask=here)


@triton.jit
@no_type_check
def largest(x, peak, count, BLOCK: tl.constexpr):
    """The bits of max|x|, NaN above all: their order is that of the numbers."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    bits = _bits(tl.load(x + at, mask=at < count, other=0))
    tl.atomic_max(peak, tl.max(bits & _MAGNITUDE, 0))


@triton.jit
@no_type_check
def _quotient(a, s, upper, lower, least, step):
    """a / (s t) to the nearest number of a format, exactly; t = upper + lower.

    h has at most 11 bits, so what its last bits gain moves a tie and nothing else.
    """
    upper, lower = s * upper, s * lower
    q = a * (1.0 / (upper + lower))  # off by less than half a half gap
    c = _offset(q, least, step)
    h = _snap(q, c * 0.5)
    rest = (a - h * upper) - h * lower
    h = _value(_bits(h) + (_bits(rest) >> 18))
    return _snap(h, c)


@triton.jit(do_not_specialize=SCALED)
@no_type_check
def scaled(
    x, y,
    peak,  # the bits of max|all x|
    blocks,
    element, element_step, element_top,
    scale, scale_step, scale_top,
    scale_low,  # the least scale
    SIZE: tl.constexpr,
    WIDTH: tl.constexpr,
    RUNS: tl.constexpr,
):  # fmt: skip
    """A small float a block, and t = max|all x| / (max element · max scale) for all.

    From the end to the start: what `largest` read last may still be in the cache.
    """
    program = tl.num_programs(0) - 1 - tl.program_id(0)
    at, here = _runs(program, blocks, SIZE, WIDTH, RUNS)
    v = tl.load(x + at, mask=here, other=0).to(tl.float32)
    most = tl.load(peak)
    t = tl.div_rn(_value(most), element_top * scale_top)
    t = tl.where(t == 0, 1.0, t)
    far = tl.where(t < 2.0**-40, 2.0**80, 1.0)  # from where products lose bits,
    far = tl.where(t > 2.0**40, 2.0**-40, far)  # and from where reciprocals do
    upper = _value(_bits(t * far) & _UPPER)
    lower = t * far - upper
    a = tl.abs(v) * far
    s = _quotient(tl.max(a, 1), element_top, upper, lower, scale, scale_step)
    s = tl.minimum(tl.maximum(s, scale_low), scale_top)
    c = _quotient(a, s[:, None], upper, lower, element, element_step)
    t = tl.where(most < _EXPONENT, t, float("nan"))
    a = _signed(tl.minimum(c, element_top) * s[:, None] * t, _bits(v) & _SIGN)
    tl.store(y + at, a.to(y.dtype.element_ty), mask=here)
