"""What a head is worth: how the loss moves when the head is turned down.

    y = Σ_h ξ_h O_h a_h,  ξ = 1        I_h = E_x | ∂L(x) / ∂ξ_h |

The derivative is taken for each example by itself, and its size averaged: a head that
helps one text and harms another matters to both, and a mean without the absolute value
would cancel that. Layers have gradients of unlike sizes; `per_layer` divides each
layer's by their norm, as the paper does, which says that every layer has something to
lose. (Whether that helps is a question for a measurement.)

Read in order: `head_importance`.
Source: Michel et al. 2019, "Are Sixteen Heads Really Better than One?",
arXiv:1905.10650, section 4.1.
"""

from jaxtyping import Float
from torch import Tensor


def head_importance(
    gradients: Float[Tensor, "examples layers heads"], *, per_layer: bool = False
) -> Float[Tensor, "layers heads"]:
    """I_h from ∂L/∂ξ of each example; a layer without any gradient stays at 0.

    ValueError for no examples, and for a gradient that is not finite.
    """
    if not len(gradients):
        raise ValueError("no examples")
    if not gradients.isfinite().all():
        raise ValueError(f"{int((~gradients.isfinite()).sum())} gradients not finite")
    importance = gradients.abs().mean(0)
    if not per_layer:
        return importance
    norm = importance.norm(dim=-1, keepdim=True)
    return importance / norm.where(norm > 0, 1)
