"""What level a state stands for: 2^L numbers that look like draws from N(0, 1).

    table    v(s) = the s-th of 2^L draws, kept as a table (2^L fp16)
    1MAD     x = a s + b mod 2^32      v = (Σ of x's four bytes − 510) / 147.8
    3INST    x = a s + b mod 2^32      v = f(low half of x) + f(high half of x)
             f(h) = the fp16 number whose bits are (h and 0x8FFF) xor 0.922's

States that follow one another share bits, so their levels must not resemble each other:
that is what the multiplication is for. The bytes' sum is nearly normal; its deviation
is 2 · √((256² − 1) / 12) = 147.8. f has a random sign, a random mantissa and two random
bits of exponent. The sum of two f is divided by its deviation, 1.244, so that levels of
every kind have the variance of the weights. Computed levels need no table: a kernel
makes them from a state in two to four instructions.

Read in order: `one_mad`, `three_inst`, `gaussian_table`, `node_values`.
Source: Tseng et al. 2024, arXiv:2406.11235, section 3.1, algorithms 1 and 2.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

WORD = 2**32 - 1
MAD_FACTOR, MAD_TERM = 34038481, 76625530
BYTES_MEAN, BYTES_DEVIATION = 510, 147.800537109375
INST_FACTOR, INST_TERM, INST_DEVIATION = 89226354, 64248484, 1.24439
KEPT, MIDDLE = 0x8FFF, 0x3B60  # sign, two exponent bits and mantissa; fp16's 0.922


def one_mad(states: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """1MAD's levels of states, float32: one multiply-add and a sum of four bytes."""
    x = (states * MAD_FACTOR + MAD_TERM) & WORD
    total = sum((x >> shift) & 255 for shift in (0, 8, 16, 24))
    return (total - BYTES_MEAN).float() / BYTES_DEVIATION


def three_inst(states: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """3INST's levels of states, float32: two fp16 numbers from one product's bits."""
    x = (states * INST_FACTOR + INST_TERM) & WORD
    halves = torch.stack((x & 0xFFFF, x >> 16)) & KEPT ^ MIDDLE
    return halves.to(torch.uint16).view(torch.float16).float().sum(0) / INST_DEVIATION


def gaussian_table(state_bits: int, seed: int = 0) -> Float[Tensor, " states"]:
    """2^L draws from N(0, 1), as fp16 holds them, in float32."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(2**state_bits, generator=draw).half().float()


COMPUTED: dict[str, Callable[[Tensor], Tensor]] = {
    "1mad": one_mad,
    "3inst": three_inst,
}
KINDS = (*COMPUTED, "table")


def node_values(kind: str, state_bits: int, seed: int = 0) -> Float[Tensor, " states"]:
    """v of every state, float32; `seed` draws a table, and computed codes have none.

    ValueError for a kind that is not in `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of {KINDS}")
    if kind == "table":
        return gaussian_table(state_bits, seed)
    return COMPUTED[kind](torch.arange(2**state_bits))
