"""From two kept weights and their places to four operands, in registers.

    B_p = all ones where bit p of a group's places is set, else 0
    A_0 = first & B_0                   A_1 = (B_0 ? last : first) & B_1
    A_3 = last & B_3                    A_2 = (B_3 ? first : last) & B_2

A thread holds both weights of a group, so nothing moves between threads. Values in 16
bits: two groups a register, 14 instructions. Codes in 4 bits: eight groups a register,
so that a whole chunk is spread before any code becomes a number. A code is stored with
its highest bit flipped: what is masked away is then level 0.

Read in order: `spread_text`, `placed`, `spread`; `spread_codes_text`, `spread_codes`;
`levels_text`, `levels`.
Source of the number in a code's bits: Kim et al. 2022, arXiv:2211.10017.
"""

from lib.kernels.core.compiler import no_type_check, tl, triton

PLACES = 4


def spread_text(plane: int) -> str:
    """PTX that takes two values of two groups and their places to A_0 … A_3."""
    lines = [f".reg .b32 b<{PLACES}>, t;"]
    for p in range(PLACES):
        lines += [
            f"shl.b32 t, $6, {15 - PLACES * plane - p};",
            f"prmt.b32 b{p}, t, 0, 0xBB99;",  # each half's sign, sixteen times
        ]
    lines += [
        "and.b32 $0, $4, b0;",
        "lop3.b32 t, b0, $5, $4, 0xCA;",  # b0 ? last : first
        "and.b32 $1, t, b1;",
        "lop3.b32 t, b3, $4, $5, 0xCA;",
        "and.b32 $2, t, b2;",
        "and.b32 $3, $5, b3;",
    ]
    return "{" + "\n".join(lines) + "}"


_SPREAD = tl.constexpr(tuple(spread_text(plane) for plane in range(4)))
_THREE_TO_FOUR = tl.constexpr("=&r,=&r,=&r,=&r,r,r,r")


@triton.jit
@no_type_check
def placed(first, last, bits):
    """The equation: bit p of `bits` says whether a weight stands at place p."""
    b0, b1, b2, b3 = bits & 1, bits & 2, bits & 4, bits & 8
    zero = tl.zeros_like(first)
    return (
        tl.where(b0 != 0, first, zero),
        tl.where(b1 != 0, tl.where(b0 != 0, last, first), zero),
        tl.where(b2 != 0, tl.where(b3 != 0, first, last), zero),
        tl.where(b3 != 0, last, zero),
    )


@triton.jit
@no_type_check
def spread(first, last, places, PLANE: tl.constexpr, DTYPE: tl.constexpr):
    """A_0 … A_3 of one plane: in 16 bits two groups at a time, in float32 one."""
    if tl.float32 == DTYPE:
        return placed(first, last, places.to(tl.int32) >> 4 * PLANE)
    elif tl.float16 == DTYPE:
        return tl.inline_asm_elementwise(
            _SPREAD[PLANE],
            _THREE_TO_FOUR,
            [first, last, places],
            (tl.float16,) * 4,
            True,
            2,
        )
    else:
        return tl.inline_asm_elementwise(
            _SPREAD[PLANE],
            _THREE_TO_FOUR,
            [first, last, places],
            (tl.bfloat16,) * 4,
            True,
            2,
        )


def spread_codes_text() -> str:
    """PTX that takes eight groups' codes and places to the codes at place 0 … 3."""
    lines = [f".reg .b32 b<{PLACES}>, t;"]
    for p in range(PLACES):
        lines += [
            f"shr.u32 t, $6, {p};",
            "and.b32 t, t, 0x11111111;",
            f"mul.lo.u32 b{p}, t, 15;",  # a bit becomes a nibble
        ]
    lines += spread_text(0).strip("{}").splitlines()[1 + 2 * PLACES :]
    return "{" + "\n".join(lines) + "}"


_SPREAD_CODES = tl.constexpr(spread_codes_text())


@triton.jit
@no_type_check
def spread_codes(first, last, places, DTYPE: tl.constexpr):
    """Words of the codes at place 0 … 3, four planes each."""
    if tl.float32 == DTYPE:
        a, b = first.to(tl.int32), last.to(tl.int32)
        c0, c1, c2, c3 = tl.zeros_like(a), tl.zeros_like(a), tl.zeros_like(a), a - a
        for j in tl.static_range(4):
            bits = places.to(tl.int32) >> 4 * j
            p0, p1, p2, p3 = placed(a >> 4 * j & 15, b >> 4 * j & 15, bits)
            c0, c1 = c0 | p0 << 4 * j, c1 | p1 << 4 * j
            c2, c3 = c2 | p2 << 4 * j, c3 | p3 << 4 * j
        return c0, c1, c2, c3
    else:
        return tl.inline_asm_elementwise(
            _SPREAD_CODES,
            _THREE_TO_FOUR,
            [first, last, places],
            (tl.int16,) * 4,
            True,
            2,
        )


def levels_text(plane: int, magic: int, kind: str) -> str:
    """PTX that takes the codes at four places to the levels of one plane."""
    flipped = magic + 0x0008_0008  # the code 8, which is level 0
    lines = [".reg .b32 t, z;", f"mov.b32 z, {flipped:#010x};"]
    for p in range(PLACES):
        lines += [
            f"shr.u32 t, ${PLACES + p}, {4 * plane};",
            f"lop3.b32 t, t, 0x000F000F, {flipped:#010x}, 0x6A;",  # t & mask ^ flipped
            f"sub.rn.{kind}x2 ${p}, t, z;",
        ]
    return "{" + "\n".join(lines) + "}"


_F16 = tl.constexpr(tuple(levels_text(j, 0x64006400, "f16") for j in range(4)))
_BF16 = tl.constexpr(tuple(levels_text(j, 0x43004300, "bf16") for j in range(4)))
_FOUR_TO_FOUR = tl.constexpr("=&r,=&r,=&r,=&r,r,r,r,r")


@triton.jit
@no_type_check
def levels(codes, PLANE: tl.constexpr, DTYPE: tl.constexpr):
    """The levels -8 … 7 of one plane at place 0 … 3, exact in every dtype."""
    c0, c1, c2, c3 = codes
    if tl.float32 == DTYPE:
        SHIFT: tl.constexpr = 4 * PLANE
        return (
            ((c0 >> SHIFT & 15 ^ 8) - 8).to(DTYPE),
            ((c1 >> SHIFT & 15 ^ 8) - 8).to(DTYPE),
            ((c2 >> SHIFT & 15 ^ 8) - 8).to(DTYPE),
            ((c3 >> SHIFT & 15 ^ 8) - 8).to(DTYPE),
        )
    elif tl.float16 == DTYPE:
        return tl.inline_asm_elementwise(
            _F16[PLANE], _FOUR_TO_FOUR, [c0, c1, c2, c3], (tl.float16,) * 4, True, 2
        )
    else:
        return tl.inline_asm_elementwise(
            _BF16[PLANE], _FOUR_TO_FOUR, [c0, c1, c2, c3], (tl.bfloat16,) * 4, True, 2
        )
