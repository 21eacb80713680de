"""Block LDLQ: GPTQ's loop where d columns are rounded at once, as one vector.

    minimize  tr(Δ H Δᵀ),  Δ = W − Ŵ              H⁻¹ = Uᵀ U,  U upper
    for each block b of d columns:   Ŵ_b = Q(W_b)     E_b = (W_b − Ŵ_b) U_bb⁻¹
                                     W_c −= E_b U_bc  for every later block c

A lattice, a codebook of vectors or a trellis rounds d weights together, so the loop
cannot stop between them: a scalar's division by U_jj becomes a triangular solve with
U_bb. The paper writes H = Lᵀ D L with unit blocks on L's diagonal; that is the same
update, for U_bb⁻¹ U_bc is its feedback from b to c.

Guarantees, each a test. Width 1 is `cancel_errors` of gptq.py. Σ ‖E_b‖² is the error
tr(Δ H Δᵀ), whatever Q is. The lazy block changes the time, not the codes.

Read in order: gptq.py, `cancel_block_errors`, `block_ldlq`.
Source: Tseng et al. 2024 (QuIP#), arXiv:2402.04396, section 4.1 and theorem 4.1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.quant.solvers.gptq import LoopSettings, ordered_factor
from lib.quant.uniform.grid import checked_matrix

# x (rows, d) -> Ŵ (rows, d), and the codes, whatever tensor they are: one shape a call
BlockQuantizer = Callable[[Float[Tensor, "rows d"]], tuple[Tensor, Tensor]]


def cancel_block_errors(
    w: Float[Tensor, "cols rows"],
    factor: Float[Tensor, "cols cols"],
    quantizer: BlockQuantizer,
    *,
    width: int,
    block: int = 128,
) -> tuple[Float[Tensor, " cols"], list[Tensor]]:
    """Round Wᵀ in place, `width` columns at a time, to Ŵᵀ.

    Returns Σ_rows e² of each column, whose sum is tr(Δ H Δᵀ), and each block's codes.
    `quantizer` sees its columns with every earlier error in them.
    """
    lazy = max(block // width, 1) * width  # blocks of vectors, whole ones
    losses, codes = [], []
    for start in range(0, len(w), lazy):
        stop = min(start + lazy, len(w))
        errors = torch.empty_like(w[start:stop])  # Eᵀ
        for j in range(start, stop, width):
            own, later = slice(j, j + width), slice(j + width, stop)
            rounded, code = quantizer(w[own].T)
            codes.append(code)
            error = torch.linalg.solve_triangular(
                factor[own, own].T, w[own] - rounded.T, upper=False
            )
            w[own] = rounded.T
            w[later].addmm_(factor[own, later].T, error, alpha=-1)
            errors[j - start : j - start + width] = error
        w[stop:].addmm_(factor[start:stop, stop:].T, errors, alpha=-1)
        losses.append(errors.square().sum(1))
    return torch.cat(losses), codes


@dataclass(frozen=True, eq=False)
class BlockRounded:
    """Ŵ, the codes of its blocks, and what the loop booked.

    `order` is None unless columns were cut into blocks in another order than their own
    (act-order); `weight` is in their own order whatever it is, `codes` are as cut.
    """

    weight: Float[Tensor, "rows cols"]
    codes: Tensor  # (rows, blocks, …): the blocks' codes side by side
    order: Int[Tensor, " cols"] | None
    losses: Float[Tensor, " cols"]  # in the order of rounding

    @property
    def error(self) -> float:
        """tr((W − Ŵ) (H + λI) (W − Ŵ)ᵀ), as it was booked."""
        return self.losses.sum().item()


def block_ldlq(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    quantizer: BlockQuantizer,
    *,
    width: int,
    settings: LoopSettings | None = None,
) -> BlockRounded:
    """Round `w` by vectors of `width` columns, for inputs with second moment `hessian`.

    Damping, dead columns and act-order are GPTQ's (`LoopSettings`, `inverse_factor`).
    `quantizer` gets (rows, width) and returns what replaces it, with its codes; nothing
    is assumed of them but that calls agree in shape. Works in float32 (float64 for
    float64 weights). ValueError for a width that does not divide the columns, weights
    that are not finite, and whatever `ordered_factor` refuses.
    """
    settings = settings or LoopSettings()
    w = checked_matrix(w)
    if width < 1 or w.shape[1] % width:
        raise ValueError(f"width={width} does not divide the {w.shape[1]} columns")
    order, factor = ordered_factor(w, hessian, settings, group=width)
    left = w[:, order].T.contiguous()
    losses, codes = cancel_block_errors(
        left, factor, quantizer, width=width, block=settings.block
    )
    rounded = torch.empty_like(left).index_copy_(0, order, left).T.contiguous()
    own = order if settings.act_order else None
    return BlockRounded(rounded, torch.stack(codes, 1), own, losses)
