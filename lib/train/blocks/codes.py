"""PV-Tuning's step for codes, in a block of a model: a few of them move, or none do.

    Ŵ_S ← the sums of entries nearest to Ŵ_S − ∇_S φ / L    S: groups of largest ∇

lib/quant/additive/pv.py has the equation and its bound for any loss. Here φ is a
block's loss over all calibration windows, S is chosen in each layer, all layers move at
once, and L doubles until φ falls; after `TRIES` doublings the codes stay. So φ never
rises. L begins where a group of S would move by its own size.

Read in order: `move_codes`, `moved`.
Source: Malinovskii et al. 2024, arXiv:2405.14852, section 3.3.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from lib.quant.additive.beam import nearest_sums
from lib.quant.additive.matrix import Additive, sum_of_entries
from lib.quant.serialize import serialize
from lib.train.blocks.tuned import TunedLinear

TRIES, WIDTH = 6, 8


def move_codes(
    layers: Mapping[str, TunedLinear],
    loss: Callable[[], float],
    slopes: Mapping[str, Float[Tensor, "rows cols"]],
    now: float,
    *,
    share: float = 0.02,
) -> float:
    """One step for the codes of the additive layers; the loss after it, at most `now`.

    `slopes` are the gradients by Ŵ at the layers as they are. Other kinds of matrices
    keep their codes: a lattice's or a trellis's need searches of their own.
    """
    before = {name: dict(layers[name].codes) for name in slopes}
    for attempt in range(TRIES):
        for name, slope in slopes.items():
            layer = layers[name]
            layer.codes = before[name]
            matrix = layer.quantized()
            if isinstance(matrix, Additive):
                matrix = moved(matrix, slope, share=share, shorter=2.0**attempt)
                written = serialize(matrix)[0]
                layer.codes = {n: written[n] for n in layer.codes}
        if (after := loss()) <= now:
            return after
    for name, codes in before.items():
        layers[name].codes = codes
    return now


@torch.no_grad()
def moved(
    matrix: Additive,
    slope: Float[Tensor, "rows cols"],
    *,
    share: float,
    shorter: float = 1.0,
) -> Additive:
    """The matrix with new codes for the `share` of groups of largest gradient.

    At `shorter` = 1 the rms of a step is the rms of the weights in S; else a part.
    """
    books, scale = matrix.books.float(), matrix.scale.float()[:, None, None]
    codes = matrix.codes.long()
    sums = sum_of_entries(codes, books)  # (rows, groups, d), ŵ without its scale
    pull = slope.view_as(sums) * scale  # the gradient by the sums
    size = pull.square().sum(-1).flatten()
    chosen = size.topk(max(1, round(share * len(size)))).indices
    w, g = (t.flatten(0, 1)[chosen] for t in (sums, pull))
    step = w.square().mean().sqrt() / g.square().mean().sqrt().clamp(min=1e-30)
    target = w - step / shorter * g
    flat = codes.flatten(0, 1)
    flat[chosen] = nearest_sums(target, books, flat[chosen], width=WIDTH)
    return Additive(
        flat.view_as(codes).to(matrix.codes.dtype), matrix.books, matrix.scale
    )
