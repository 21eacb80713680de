"""Random words that are a function of a seed and a counter: Philox 4x32-7.

    c₀, c₁ ← ⌊B c₂ / 2³²⌋ ⊕ c₁ ⊕ k₀,  B c₂ mod 2³²
    c₂, c₃ ← ⌊A c₀ / 2³²⌋ ⊕ c₃ ⊕ k₁,  A c₀ mod 2³²        seven times, and k grows

Nothing is stored between calls, so that every thread makes its own words, and a seed
makes the same ones on every device: these are bit for bit those of `tl.randint4x`.
Seven rounds are the fewest that pass every test of BigCrush; Triton's ten cost more.

Read in order: `words`, `uniforms`.
Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 4.3.
"""

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

A, B = 0xD2511F53, 0xCD9E8D57  # multipliers
KEYS = 0x9E3779B9, 0xBB67AE85  # what k grows by
WORD = (1 << 32) - 1
ROUNDS = 7
QUARTER = 1024  # values whose numbers are the same word of neighbouring counters


def words(
    seed: int, counters: Int64[Tensor, "n"], rounds: int = ROUNDS
) -> Int64[Tensor, "4 n"]:
    """Four words of 32 bits for each counter below 2³²."""
    c0, k0, k1 = counters, seed & WORD, seed >> 32
    c1 = c2 = c3 = torch.zeros_like(c0)
    for _ in range(rounds):
        left, right = B * c2, A * c0  # modulo 2⁶⁴
        c0, c1 = right_half(left >> 32) ^ c1 ^ k0, right_half(left)
        c2, c3 = right_half(right >> 32) ^ c3 ^ k1, right_half(right)
        k0, k1 = k0 + KEYS[0] & WORD, k1 + KEYS[1] & WORD
    return torch.stack([c0, c1, c2, c3])


def right_half(word: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """The lower 32 bits."""
    return word & WORD


def uniforms(
    seed: int, count: int, device: torch.device | str = "cpu"
) -> Float32[Tensor, "count"]:
    """Multiples of 2⁻²⁴ in [0, 1), from the upper 24 bits of each value's word.

    Values 4 Q p + Q j + i, with Q = `QUARTER`, take word j of counter Q p + i.
    """
    programs = -(-count // (4 * QUARTER))
    drawn = words(seed, torch.arange(programs * QUARTER, device=device))
    runs = drawn.unflatten(1, (programs, QUARTER)).transpose(0, 1)  # (programs, 4, Q)
    return (runs.reshape(-1)[:count] >> 8).to(torch.float32) * 2.0**-24
