"""4-bit codes and their constants: from words in memory to numbers in registers.

    word, z → q - z, exactly, as the matrix unit takes it;      s in float32

Decoding: 0x6400 as fp16 is 1024, and from 1024 to 2048 neighbours are 1 apart; so
0x6400 | q is the number 1024 + q, and subtracting 1024 + z leaves q - z exactly. A
thread does so with two weights in a register of 32 bits. In bf16 0x4300, 128, does the
same, for 128 + 15 is below 256.

Read in order: `decode`, `load_four`, `scales_of`.
Source of the trick: Kim et al. 2022, arXiv:2211.10017.
"""

from lib.kernels.core.blocks import constant, load_constants
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.core.planes import CODE_BITS, PLANES_PER_WORD


def _unpack_two(magic: str, kind: str) -> str:
    """PTX that takes two words and four biases to four pairs of q - z."""
    lines = [".reg .b32 t;", "mov.b32 t, $4;"]
    for plane in range(PLANES_PER_WORD):
        if plane:
            lines += [f"shr.u32 t, $4, {CODE_BITS * plane};"]
        lines += [
            f"lop3.b32 t, t, 0x000F000F, {magic}, 0xEA;",  # t & mask | magic
            f"sub.rn.{kind}x2 ${plane}, t, ${plane + PLANES_PER_WORD + 1};",
        ]
    return "{" + "\n".join(lines) + "}"


_UNPACK_F16 = tl.constexpr(_unpack_two("0x64006400", "f16"))
_UNPACK_BF16 = tl.constexpr(_unpack_two("0x43004300", "bf16"))
_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,r,r,r,r,r")


@triton.jit
@no_type_check
def decode(words, r, DTYPE: tl.constexpr):
    """Four planes of q - z from their words; r holds each plane's constants.

    In 16 bits, as the matrix unit takes them, two at a time; in float32 one by one.
    """
    if tl.float16 == DTYPE:
        b0, b1 = _bias(r[0], 0x6400, 1024, DTYPE), _bias(r[1], 0x6400, 1024, DTYPE)
        b2, b3 = _bias(r[2], 0x6400, 1024, DTYPE), _bias(r[3], 0x6400, 1024, DTYPE)
        return tl.inline_asm_elementwise(
            _UNPACK_F16, _OPERANDS, [words, b0, b1, b2, b3], (tl.float16,) * 4, True, 2
        )
    elif tl.bfloat16 == DTYPE:
        b0, b1 = _bias(r[0], 0x4300, 128, DTYPE), _bias(r[1], 0x4300, 128, DTYPE)
        b2, b3 = _bias(r[2], 0x4300, 128, DTYPE), _bias(r[3], 0x4300, 128, DTYPE)
        return tl.inline_asm_elementwise(
            _UNPACK_BF16,
            _OPERANDS,
            [words, b0, b1, b2, b3],
            (tl.bfloat16,) * 4,
            True,
            2,
        )
    else:
        q = words.to(tl.int32)
        return (
            ((q & 15) - tl.expand_dims(zero_of(r[0]), -1)).to(DTYPE),
            (((q >> 4) & 15) - tl.expand_dims(zero_of(r[1]), -1)).to(DTYPE),
            (((q >> 8) & 15) - tl.expand_dims(zero_of(r[2]), -1)).to(DTYPE),
            (((q >> 12) & 15) - tl.expand_dims(zero_of(r[3]), -1)).to(DTYPE),
        )


@triton.jit
@no_type_check
def _bias(r, MAGIC: tl.constexpr, ONE: tl.constexpr, DTYPE: tl.constexpr):
    """ONE + z, by writing z into the lowest bits of MAGIC, whose value is ONE."""
    if r.dtype == tl.int32:
        b = (zero_of(r).to(tl.int16) | MAGIC).to(DTYPE, bitcast=True)
    else:
        b = tl.full(r.shape, ONE + 8, DTYPE)
    return tl.expand_dims(b, -1)


@triton.jit
@no_type_check
def zero_of(r):
    """z of a group's constants: the upper half, or 8 where there is only a scale."""
    if r.dtype == tl.int32:
        return r >> 16
    else:
        return tl.full(r.shape, 8, tl.int32)


@triton.jit
@no_type_check
def scale_of(r):
    """s of a group's constants, in float32."""
    if r.dtype == tl.int32:
        return r.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
    else:
        return r.to(tl.float32)


@triton.jit
@no_type_check
def scales_of(r):
    """The scales of four planes."""
    return scale_of(r[0]), scale_of(r[1]), scale_of(r[2]), scale_of(r[3])


@triton.jit
@no_type_check
def from_bits(bits, ZERO_POINT: tl.constexpr):
    """A group's constants: int32 of scale and zero point, or the fp16 scale alone."""
    if ZERO_POINT:
        return bits
    else:
        return bits.to(tl.int16).to(tl.float16, bitcast=True)


@triton.jit
@no_type_check
def load_four(constants, c, n, N, Q: tl.constexpr, ZERO_POINT: tl.constexpr):
    """The constants of rows n for each of the four planes of chunk c."""
    BITS: tl.constexpr = 32 if ZERO_POINT else 16
    words = load_constants(constants, c, n, N, Q, BITS)
    return (
        from_bits(constant(words, 0, Q, BITS), ZERO_POINT),
        from_bits(constant(words, 1, Q, BITS), ZERO_POINT),
        from_bits(constant(words, 2, Q, BITS), ZERO_POINT),
        from_bits(constant(words, 3, Q, BITS), ZERO_POINT),
    )
