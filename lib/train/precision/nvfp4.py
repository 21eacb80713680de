"""NVFP4 training: four bits in every product of a layer, and what makes that work.

    blocks      X and dY in runs of 16 along the summed axis; W in squares of 16 × 16,
                so that Fprop's W and Dgrad's Wᵀ are the same numbers
    rounding    of dY stochastic, so that its mean is dY; of X and W to nearest
    Hadamard    in Wgrad alone, runs of 16 tokens are rotated before they are rounded:
                (dYᵀ H)(Xᵀ H)ᵀ = dYᵀ H Hᵀ X = dYᵀ X
    layers      those of the first and the last blocks, and all that is not a linear
                layer of a block (embedding, head, attention's own products), stay wide

H = diag(signs) · Sylvester(16) / 4 is orthogonal; its signs are drawn once for all.

Guarantee: with no rounding, the Hadamard transform changes nothing; Q(W)ᵀ = Q(Wᵀ) for
squares; the mean over draws of a rounded dY is dY cut off at ±6 s t. That is dY itself
but for the largest of a block whose s was rounded down to E4M3: they saturate, at most
1/16 too low (3 % of normal numbers do).

Read in order: `hadamard`, `rotated`, `in_runs`, `in_squares`, `nvfp4`, `stays_wide`.
Taught in notebooks/09. Source: NVIDIA 2025, arXiv:2509.25149, section 4 (2 first and
8 last of 62 blocks stay); float32 arithmetic as in TransformerEngine's quantizers.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lib.formats import BF16, NVFP4, round_to_blocks
from lib.train.precision.matmul import Operand, Product, Recipe, in_format

SIZE = NVFP4.block


def hadamard(
    size: int, generator: torch.Generator | None = None
) -> Float[Tensor, "size size"]:
    """Sylvester's matrix over √size, its rows times random signs: H Hᵀ = I.

    Without a generator no signs. ValueError unless size is a power of two.
    """
    if size < 1 or size & (size - 1):
        raise ValueError(f"{size=} is not a power of two")
    h = torch.ones(1, 1)
    while len(h) < size:
        h = torch.cat((torch.cat((h, h), 1), torch.cat((h, -h), 1)))
    if generator is not None:
        h = h * (torch.randint(2, (size, 1), generator=generator) * 2 - 1)
    return h / size**0.5


def rotated(
    a: Float[Tensor, "*batch rows summed"], h: Float[Tensor, "size size"]
) -> Float[Tensor, "*batch rows summed"]:
    """Each run of `size` along the summed axis, times H.

    ValueError where `size` does not divide that axis.
    """
    if a.shape[-1] % len(h):
        raise ValueError(f"runs of {len(h)} do not divide an axis of {a.shape[-1]}")
    return (a.unflatten(-1, (-1, len(h))) @ h.to(a)).flatten(-2)


def in_runs(generator: torch.Generator | None = None) -> Operand:
    """Runs of 16 along the summed axis; with a generator rounded stochastically."""
    rounding = "nearest" if generator is None else "stochastic"
    how = {"rounding": rounding, "generator": generator, "arithmetic": torch.float32}
    return lambda a: round_to_blocks(a, NVFP4, **how)


def in_squares(a: Float[Tensor, "*batch rows summed"]) -> Tensor:
    """16 × 16 numbers share a scale: the same, seen from either side."""
    return round_to_blocks(a, NVFP4, square=True, arithmetic=torch.float32)


def nvfp4(
    generator: torch.Generator | None,
    *,
    h: Float[Tensor, "size size"] | None = None,
    squares: bool = True,
) -> Recipe:
    """The recipe; without a generator, `h` or squares it lacks that ingredient.

    Tokens and both numbers of channels are multiples of 16, else ValueError. Results
    are rounded to bf16, dW stays in fp32.
    """
    x, dy, out = in_runs(), in_runs(generator), in_format(BF16)
    w = in_squares if squares else in_runs()
    wgrad = Product(dy, x)
    if h is not None:
        wgrad = Product(lambda a: dy(rotated(a, h)), lambda b: x(rotated(b, h)))
    return Recipe(Product(x, w, out), Product(dy, w, out), wgrad)


def stays_wide(block: int, blocks: int, *, first: int = 2, last: int = 8) -> bool:
    """Whether the layers of this block, of so many, are left in bf16.

    ValueError for a block that there is not.
    """
    if not 0 <= block < blocks:
        raise ValueError(f"{block=} is not one of {blocks}")
    return block < first or block >= blocks - last
