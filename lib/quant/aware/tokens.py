"""Inputs, keys and values in few bits: a symmetric grid for each token, as it arrives.

    η = max |x| / (2^(b−1) − 1)     q = round(x / η)     x̂ = η q     |x̂ − x| <= η / 2
    backward    ∂x̂/∂x := 1: nothing is clipped, since η follows the largest number

No calibration and nothing to learn. (LLM-QAT's code sets the gradient to 0 outside of
[−2, 2], though its forward pass never clips.)

Read in order: `token_codes`, `fake_tokens`.  Taught in notebooks/08.
Sources: Liu et al. 2023, "LLM-QAT", arXiv:2305.17888, section 2.2; with 8 bits, Ma et
al. 2024, arXiv:2402.17764, section 2.
"""

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from lib.quant.aware.ste import straight_through


def token_codes(
    x: Float[Tensor, "*tokens cols"], bits: int = 8
) -> tuple[Int8[Tensor, "*tokens cols"], Float[Tensor, "*tokens 1"]]:
    """q, and η in the units of x, which is 1 for a token of zeros.

    ValueError for bits outside 2 to 8.
    """
    if bits not in range(2, 9):
        raise ValueError(f"bits={bits} is not in 2 to 8")
    largest = 2 ** (bits - 1) - 1
    eta = x.detach().abs().amax(-1, keepdim=True).float() / largest
    eta = torch.where(eta == 0, 1.0, eta)
    codes = (x.detach() / eta).round().clamp(-largest, largest)
    return codes.to(torch.int8), eta


def fake_tokens(
    x: Float[Tensor, "*tokens cols"], bits: int = 8
) -> Float[Tensor, "*tokens cols"]:
    """x̂ in the dtype of x; backward the identity. ValueError as `token_codes`."""
    codes, eta = token_codes(x, bits)
    return straight_through(x, (codes * eta).to(x.dtype))
