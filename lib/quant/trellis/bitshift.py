"""The bitshift trellis: L bits choose a weight's level, and k of them are its own.

    s_t+1 = (s_t · 2^k + new k bits) mod 2^L          ŵ_t = v(s_t),   L > k

A state is a window of L bits on one stream, and the next one is k bits further on. So a
weight has 2^L levels to choose from and still costs k bits, for it shares L − k of its
bits with the weights behind it. Where the stream is a ring of exactly k T bits
("tail-biting"), the last windows go on into the first bits, and nothing else is stored.

    stream of codes c_0 … c_T−1, k bits each:
    s_t = c_t, c_t+1, …  read as one number, its first L bits

Guarantees: `codes_of` undoes `states_of`, for every ring; a state path that is no ring
is refused. Decoding is shifts and one look-up, with no state carried along, so that all
weights decode at once.

Read in order: `Trellis`, `states_of`, `codes_of`.  Viterbi's search is viterbi.py.
Source: Tseng et al. 2024, "QTIP", arXiv:2406.11235, sections 3 and 3.1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int, Integer
from torch import Tensor


@dataclass(frozen=True)
class Trellis:
    """L bits of state (`state_bits`), of which k (`bits`) are new at each weight.

    ValueError unless 1 ≤ k ≤ 8, k < L ≤ 16.
    """

    state_bits: int = 12
    bits: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8 or not self.bits < self.state_bits <= 16:
            raise ValueError(
                f"bits={self.bits} is not in 1 to 8, or state_bits={self.state_bits} "
                "not above it and at most 16"
            )

    @property
    def states(self) -> int:
        """2^L."""
        return 2**self.state_bits

    @property
    def branches(self) -> int:
        """2^k, the states that follow a state."""
        return 2**self.bits

    @property
    def overlap_bits(self) -> int:
        """L − k, the bits that a state shares with the next one."""
        return self.state_bits - self.bits


def states_of(
    codes: Integer[Tensor, "rows length"], trellis: Trellis
) -> Int[Tensor, "rows length"]:
    """The states of rings of codes: L bits from each code on, int64.

    ValueError for a ring of fewer than L bits, where a window would meet itself.
    """
    _check_length(codes.shape[1], trellis)
    k, spanned = trellis.bits, -(-trellis.state_bits // trellis.bits)  # codes a window
    wide = codes.long()
    window = torch.zeros_like(wide)
    for ahead in range(spanned):
        window = window << k | wide.roll(-ahead, 1)
    return window >> (k * spanned - trellis.state_bits)


def codes_of(
    states: Int[Tensor, "rows length"], trellis: Trellis
) -> Int[Tensor, "rows length"]:
    """The k bits that each state is the first to read: its highest.

    ValueError where the states are not those of a ring.
    """
    codes = states >> trellis.overlap_bits
    broken = (states_of(codes, trellis) != states).any(1)
    if broken.any():
        raise ValueError(
            f"{int(broken.sum())} of {len(states)} paths are no rings of the trellis"
        )
    return codes


def _check_length(length: int, trellis: Trellis) -> None:
    if length * trellis.bits < trellis.state_bits:
        raise ValueError(
            f"a ring of {length} codes has {length * trellis.bits} bits, and a state "
            f"{trellis.state_bits}"
        )
