"""AQLM: codes by beam search, codebooks by least squares, in turn.

    minimize  tr((W − Ŵ) H (W − Ŵ)ᵀ)      Ŵ a sum of M entries for each d weights
    start     residual k-means of the groups, each row divided by its rms
    repeat    codes (beam.py)     codebooks, scales (books.py)

Guarantee, a test: the objective never rises, from the first codes to the last; `trace`
lists it. At the end books and scales pass to fp16, and a last search finds the codes
that suit what is stored.

Every row shares the codebooks, which makes them cheap on a large layer, and dear on a
small one (matrix.py). Published, Llama-2-7B at 2 bits: perplexity 5.92 with one book of
65,536 entries, 6.69 with two of 256.

Read in order: `AQLM`, `aqlm`.
Source: Egiazarian et al. 2024, arXiv:2401.06118.
"""

from dataclasses import dataclass
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from lib.quant.additive.beam import search_codes
from lib.quant.additive.books import calibrated_error, fit_books, fit_scale
from lib.quant.additive.kmeans import residual_kmeans
from lib.quant.additive.matrix import Additive, sum_of_entries
from lib.quant.hessian import Hessian
from lib.quant.method import Method
from lib.quant.uniform.grid import checked_matrix


@dataclass(frozen=True)
class AQLM(Method):
    """M `books` of 2^B entries (`code_bits`) for groups of d columns (`group`).

    M B / d bits a weight, and the books. `rounds` of codes, books and scales; `width`
    choices kept by the beam; `steps` of conjugate gradients; λ is `damping` times mean
    diag H. ValueError for counts below 1, codes beyond 16 bits, and a bad damping.
    """

    books: int = 2
    code_bits: int = 8
    group: int = 8
    rounds: int = 6
    width: int = 16
    steps: int = 10
    damping: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.books, self.group, self.width, self.steps, self.rounds)
        if min(counts) < 1 or not 1 <= self.code_bits <= 16:
            raise ValueError(f"{self}: a count below 1, or code_bits not in 1 to 16")
        if not (isfinite(self.damping) and self.damping >= 0):
            raise ValueError(f"damping={self.damping} must be finite and at least 0")

    def check(self, rows: int, cols: int) -> None:
        """ValueError for a group that does not divide the columns."""
        if cols % self.group:
            raise ValueError(f"group={self.group} does not divide the {cols} columns")

    def quantize(self, w: Tensor, inputs: Hessian) -> Additive:
        """Quantize a layer's weight for the inputs that `inputs` has seen."""
        return aqlm(w, inputs.matrix, self)


def aqlm(
    w: Float[Tensor, "rows cols"],
    hessian: Float[Tensor, "cols cols"],
    settings: AQLM | None = None,
    *,
    trace: list[float] | None = None,
) -> Additive:
    """Quantize `w` for inputs with second moment `hessian`, in float32 (or float64).

    `trace` takes the objective after the start and after each step. ValueError for a
    group that does not divide the columns, an H of another size, weights that are not
    finite, and an H + λ that is singular.
    """
    settings = settings or AQLM()
    w = checked_matrix(w)
    rows, cols = w.shape
    settings.check(rows, cols)
    if hessian.shape != (cols, cols):
        raise ValueError(f"H is {tuple(hessian.shape)}, and w has {cols} columns")
    h = _damped(hessian.to(w), settings.damping)
    scale = w.square().mean(1).sqrt()
    scale = torch.where(scale > 0, scale, 1.0)
    books, codes = residual_kmeans(
        (w / scale[:, None]).view(-1, settings.group),
        settings.books,
        2**settings.code_bits,
        generator=torch.Generator().manual_seed(settings.seed),
    )
    codes = codes.view(rows, -1, settings.books)

    def note() -> None:
        if trace is not None:
            sums = sum_of_entries(codes, books).flatten(1)
            trace.append(calibrated_error(w - scale[:, None] * sums, h))

    note()
    for _ in range(settings.rounds):
        codes = search_codes(w, h, codes, books, scale, width=settings.width)
        note()
        books = fit_books(w, h, codes, books, scale, steps=settings.steps)
        note()
        sums = sum_of_entries(codes, books).flatten(1)
        scale = fit_scale(w, h, sums, scale)
        note()
    stored = books.half(), scale.half()
    kept = (t.to(w) for t in stored)
    codes = search_codes(w, h, codes, *kept, width=settings.width)
    return Additive(codes.to(_dtype(settings.code_bits)), *stored)


def _damped(
    h: Float[Tensor, "cols cols"], damping: float
) -> Float[Tensor, "cols cols"]:
    """H + λ I, H_jj = 1 for a dead feature: as `inverse_factor` has it."""
    h = h.clone()
    diagonal = h.diagonal()
    dead = diagonal == 0
    mean = diagonal[~dead].mean() if (~dead).any() else 0.0
    diagonal += torch.where(dead, 1.0, damping * mean)
    return h


def _dtype(bits: int) -> torch.dtype:
    """What holds a code in memory."""
    return torch.uint8 if bits <= 8 else torch.int32
