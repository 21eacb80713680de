"""The kernels of cast/rounding.py: a format's rounding, done by a wider float's adder.

    E = max(⌊log2 |x|⌋, E_min)     C = 2^(E - m + 23)     x̂ = ±((|x| + C) - C)

From C to 2C neighbouring float32 are 2^(E-m) apart, which is the format's own gap. So
the adder rounds |x| + C to the nearest number of the format, ties to even, and taking C
off is exact. C is made of integers: the exponent's bits of |x|, held between those of
E_min and E_max, and 23 - m more. In float64 the same holds with 52.

Subnormals need no case of their own. Below 2^E_min a format's gap stays 2^(E_min - m),
and so does C, because E is held at E_min: |x| + C rounds to a multiple of that gap, be
it 0. An |x| above 2^E_max is rounded with the last binade's gap, and what is then
larger than the largest number is replaced afterwards. A subnormal float32 among the
inputs has the exponent bits 0, which are held at those of E_min like any others, and no
addition of `nearest`, `stochastic` and `microscaled` flushes it to 0.

`nearest` and `stochastic` work on single values: a program has a run of them and a
thread some 16 bytes' worth at a time; what exceeds `count` is masked. The others work
on blocks that share a scale: a program has RUNS whole blocks, so that a block's largest
value is found inside the program. `scaled` also needs the largest of all values, which
`largest` finds before it, each program by one atomic maximum.

Quotients x / (s t) decide ties too, so they are rounded exactly: to half gaps first,
h, and then by the sign of x - h s t. With t cut into halves of 12 bits, both products
are exact, and so is that sign.

Read in order: `nearest`, `stochastic`, `microscaled`; `largest`, `scaled`.
"""

from lib.kernels.core.compiler import no_type_check, tl, triton

FORMAT = ("least", "most", "drop", "top", "beyond")
SCALED = ("element", "element_step", "scale", "scale_step", "emax", "blocks")

SIGN = tl.constexpr(-1 << 31)
_MAGNITUDE = tl.constexpr((1 << 31) - 1)
EXPONENT = tl.constexpr(0xFF << 23)  # also infinity
_SIGN64 = tl.constexpr(-1 << 63)
_MAGNITUDE64 = tl.constexpr((1 << 63) - 1)
_EXPONENT64 = tl.constexpr(0x7FF << 52)
_DENORMAL = tl.constexpr(1 << 22)  # the bits of 2^-127
_UPPER = tl.constexpr(-1 << 12)  # leaves 12 bits of a float32's 24


@triton.jit
@no_type_check
def value(bits):
    """The float of these bits."""
    if bits.dtype == tl.int64:
        return bits.to(tl.float64, bitcast=True)
    else:
        return bits.to(tl.float32, bitcast=True)


@triton.jit
@no_type_check
def bits_of(v):
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
        bits = bits_of(v)
        exponent, sign = bits & EXPONENT, bits & SIGN
        magnitude = bits & _MAGNITUDE
    c = tl.minimum(tl.maximum(exponent, least), most) + drop
    return sign, value(magnitude), value(c)


@triton.jit
@no_type_check
def _signed(a, sign):
    """A magnitude, or NaN, with the sign's bit put back."""
    if a.dtype == tl.float64:
        return value(a.to(tl.int64, bitcast=True) | sign)
    else:
        return value(bits_of(a) | sign)


@triton.jit
@no_type_check
def _capped(a, top, beyond, WIDE: tl.constexpr):
    """A magnitude up to `top`, and `beyond` above; NaN stays."""
    if WIDE:
        top, beyond = top.to(tl.int64), beyond.to(tl.int64)
    return tl.where(a > value(top), value(beyond), a)


@triton.jit(do_not_specialize=FORMAT)
@no_type_check
def nearest(
    x, y,  # of `count` values
    count,
    least, most,  # bits of 2^E_min and 2^E_max
    drop,  # 23 - m, shifted to the exponent's bits
    top, beyond,  # bits of the largest number, and of what becomes of those above
    WIDE: tl.constexpr,  # float64 does the work
    BLOCK: tl.constexpr,
):  # fmt: skip
    """A program rounds BLOCK values, each to the nearest number of the format."""
    offset = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offset < count
    v = tl.load(x + offset, mask=mask, other=0)
    sign, a, c = _wide(v, least, most, drop, WIDE)
    a = _signed(_capped(_snap(a, c), top, beyond, WIDE), sign)
    tl.store(y + offset, a.to(tl.float32).to(y.dtype.element_ty), mask=mask)


@triton.jit
@no_type_check
def _stochastic(a, word, least, drop, WIDE: tl.constexpr):
    """a ≥ 0 rounded stochastically, by random bits of `word`.

    The bits of `a` below the format's last one are what a covers of its gap. A uniform
    random number of as many bits is subtracted from their largest value and added to
    them: the sum carries into the last bit where the number is below what is covered.
    Then they are cleared. A number below 2^E_min has a smaller exponent, and so other
    bits below the format's; so 2^E_min is added first and subtracted at last: in the
    sum the gap is the subnormals' own.
    """
    if WIDE:
        below = drop >> 52
        uniform = word.to(tl.uint32, bitcast=True).to(tl.int64) >> 8
        uniform = (uniform << 39) >> (63 - below)
        rest = (tl.full((), 1, tl.int64) << below) - 1
    else:
        below = drop >> 23
        uniform = word.to(tl.uint32, bitcast=True) >> (32 - below)
        uniform = uniform.to(tl.int32, bitcast=True)
        rest = (1 << below) - 1
    base = tl.where(a < value(least), value(least), 0.0)
    bits = (a + base).to(uniform.dtype, bitcast=True)
    return value((bits + (rest - uniform)) & ~rest) - base


@triton.jit(do_not_specialize=(*FORMAT, "seed"))
@no_type_check
def stochastic(
    x, y, count, seed, least, most, drop, top, beyond,
    WIDE: tl.constexpr,
    QUARTER: tl.constexpr,
    ROUNDS: tl.constexpr,
):  # fmt: skip
    """A program rounds 4 QUARTER values, up with the probability of the covered part.

    One call of Philox gives four words, so a thread rounds the values at the same index
    of four runs with one call. All runs are read before any is written.
    """
    i = tl.arange(0, QUARTER)
    first = tl.program_id(0).to(tl.int64) * (4 * QUARTER) + i
    read = ()
    for j in tl.static_range(4):
        offset = first + j * QUARTER
        read += (tl.load(x + offset, mask=offset < count, other=0),)
    words = tl.randint4x(seed, tl.program_id(0) * QUARTER + i, ROUNDS)
    for j in tl.static_range(4):
        sign, a, _ = _wide(read[j], least, most, drop, WIDE)
        rounded = _stochastic(a, words[j], least, drop, WIDE)
        rounded = tl.where(a == a, _capped(rounded, top, beyond, WIDE), a)
        rounded = _signed(rounded, sign).to(tl.float32)
        offset = first + j * QUARTER
        tl.store(y + offset, rounded.to(y.dtype.element_ty), mask=offset < count)


@triton.jit
@no_type_check
def _runs(program, blocks, SIZE: tl.constexpr, WIDTH: tl.constexpr, RUNS: tl.constexpr):
    """The offsets (RUNS, WIDTH) of a program's blocks, and the mask of what exists."""
    block = program * RUNS + tl.arange(0, RUNS)
    index = tl.arange(0, WIDTH)[None, :]
    mask = (block < blocks)[:, None]
    if WIDTH != SIZE:
        mask = mask & (index < SIZE)
    return block.to(tl.int64)[:, None] * SIZE + index, mask


@triton.jit
@no_type_check
def _offset(v, least, step):
    """C = 2^E step for v ≥ 0 that no overflow threatens."""
    return value(tl.maximum(bits_of(v) & EXPONENT, least)) * step


@triton.jit
@no_type_check
def _power(code):
    """2^(code - 127) for codes up to 254."""
    return value(tl.maximum(code << 23, _DENORMAL))


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
    """A program rounds RUNS blocks, each with a power of two of its own as its scale.

    s = 2^(⌊log2 max|x|⌋ - E_max), from 2^-127 to 2^127. Values are multiplied by 1 / s,
    rounded, and multiplied by s: a power of two moves exponents only.
    """
    offset, mask = _runs(tl.program_id(0), blocks, SIZE, WIDTH, RUNS)
    bits = bits_of(tl.load(x + offset, mask=mask, other=0))
    largest = tl.max(bits & _MAGNITUDE, 1)
    code = tl.maximum((largest >> 23) - emax, 0)
    s = tl.where(largest < EXPONENT, _power(code), float("nan"))
    a = value(bits & _MAGNITUDE) * _power(254 - code)[:, None]
    a = _snap(a, _offset(a, element, element_step))
    a = _signed(tl.minimum(a, element_top) * s[:, None], bits & SIGN)
    tl.store(y + offset, a.to(y.dtype.element_ty), mask=mask)


@triton.jit
@no_type_check
def largest(x, peak, count, BLOCK: tl.constexpr):
    """peak = the bits of max|x|, NaN above all: their order is that of the numbers.

    A program finds the largest of BLOCK values, and joins it by an atomic maximum of
    integers: in whichever order programs come, the result is the same.
    """
    offset = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    bits = bits_of(tl.load(x + offset, mask=offset < count, other=0))
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
    h = value(bits_of(h) + (bits_of(rest) >> 18))
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
    """A program rounds RUNS blocks, each with a small float as its scale.

    All share t = max|all x| / (max element · max scale). Programs go from the
    end to the start: what `largest` read last may still be in the cache.
    """
    program = tl.num_programs(0) - 1 - tl.program_id(0)
    offset, mask = _runs(program, blocks, SIZE, WIDTH, RUNS)
    v = tl.load(x + offset, mask=mask, other=0).to(tl.float32)
    most = tl.load(peak)
    t = tl.div_rn(value(most), element_top * scale_top)
    t = tl.where(t == 0, 1.0, t)
    far = tl.where(t < 2.0**-40, 2.0**80, 1.0)  # from where products lose bits,
    far = tl.where(t > 2.0**40, 2.0**-40, far)  # and from where reciprocals do
    upper = value(bits_of(t * far) & _UPPER)
    lower = t * far - upper
    a = tl.abs(v) * far
    s = _quotient(tl.max(a, 1), element_top, upper, lower, scale, scale_step)
    s = tl.minimum(tl.maximum(s, scale_low), scale_top)
    c = _quotient(a, s[:, None], upper, lower, element, element_step)
    t = tl.where(most < EXPONENT, t, float("nan"))
    a = _signed(tl.minimum(c, element_top) * s[:, None] * t, bits_of(v) & SIGN)
    tl.store(y + offset, a.to(y.dtype.element_ty), mask=mask)
