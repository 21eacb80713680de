"""Problems with one right answer, and a rationale that leads to it step by step.

    problem     d_1 … d_n, digits          answer  y = (d_1 + … + d_n) mod 10
    rationale   d_1 r_1 d_2 r_2 … d_n r_n,  r_i = (r_{i−1} + d_i) mod 10;  r_n = y

Each step of the rationale copies a digit and adds it to the sum that stands before it;
the answer alone needs all n at once.

Read in order: `problems`, `rationales`.
"""

import torch
from jaxtyping import Int
from torch import Tensor


def problems(count: int, digits: int, *, seed: int) -> Int[Tensor, "count digits"]:
    """`count` different problems in a drawn order: cut it to train and to measure.

    ValueError for fewer than two digits, or more problems than there are.
    """
    if digits < 2 or not 1 <= count <= 10**digits:
        raise ValueError(f"{count} problems of {digits} digits")
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(10**digits, generator=draw)[:count]
    places = 10 ** torch.arange(digits - 1, -1, -1)
    return chosen[:, None] // places % 10


def rationales(problem: Int[Tensor, "n digits"]) -> Int[Tensor, "n steps"]:
    """Each digit and the sum so far; the last one is the answer."""
    return torch.stack((problem, problem.cumsum(-1) % 10), 2).flatten(1)
