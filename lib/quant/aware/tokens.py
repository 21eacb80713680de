"""Inputs, keys and values in few bits: a symmetric grid for each token, as it arrives.

    η = c max |x| / (2^(b−1) − 1)     q = round(x / η)     x̂ = η q
    |x̂ − x| <= η / 2  where |x| <= c max |x|,  which is everywhere for c = 1
    backward    ∂x̂/∂x := 1

No calibration and nothing to learn. A clip c < 1 gives up the largest numbers for finer
steps: with few bits that pays. (LLM-QAT's code sets the gradient to 0 outside of
[−2, 2], though its forward pass never clips.) What a cache keeps has a grid of two
ends, as in lecture 03: a key's numbers do not lie around 0.

Read in order: `token_codes`, `fake_tokens`, `fake_heads`.  Taught in notebooks/07, 08.
Sources: Liu et al. 2023, "LLM-QAT", arXiv:2305.17888, section 2.2; with 8 bits, Ma et
al. 2024, arXiv:2402.17764, section 2; clips and caches, Ashkboos et al. 2024,
arXiv:2404.00456, section 4.
"""

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from lib.quant.aware.ste import straight_through
from lib.quant.uniform.grid import fake_quantize


def token_codes(
    x: Float[Tensor, "*tokens cols"], bits: int = 8, clip: float = 1.0
) -> tuple[Int8[Tensor, "*tokens cols"], Float[Tensor, "*tokens 1"]]:
    """q, and η in the units of x, which is 1 for a token of zeros.

    ValueError for bits outside 2 to 8, and a clip outside (0, 1].
    """
    check_tokens(bits, clip)
    largest = 2 ** (bits - 1) - 1
    eta = x.detach().abs().amax(-1, keepdim=True).float() * clip / largest
    eta = torch.where(eta == 0, 1.0, eta)
    codes = (x.detach() / eta).round().clamp(-largest, largest)
    return codes.to(torch.int8), eta


def check_tokens(bits: int, clip: float) -> None:
    """ValueError for bits outside 2 to 8, and a clip outside (0, 1]."""
    if bits not in range(2, 9):
        raise ValueError(f"bits={bits} is not in 2 to 8")
    if not 0 < clip <= 1:
        raise ValueError(f"clip={clip} is not in (0, 1]")


def fake_tokens(
    x: Float[Tensor, "*tokens cols"], bits: int = 8, clip: float = 1.0
) -> Float[Tensor, "*tokens cols"]:
    """x̂ in the dtype of x; backward the identity. ValueError as `token_codes`."""
    codes, eta = token_codes(x, bits, clip)
    return straight_through(x, (codes * eta).to(x.dtype))


def fake_heads(
    x: Float[Tensor, "*tokens cols"], bits: int = 4, clip: float = 1.0
) -> Float[Tensor, "*tokens cols"]:
    """The same from c min x to c max x, 2^b levels: for a head's key or value.

    ValueError as `token_codes`, and for numbers that are not finite.
    """
    check_tokens(bits, clip)
    rows = x.detach().flatten(0, -2).float()
    rounded = fake_quantize(rows, bits=bits, group="channel", clip=clip)
    return straight_through(x, rounded.view_as(x).to(x.dtype))
