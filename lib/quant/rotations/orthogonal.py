"""Random rotations: a Hadamard matrix with random signs, and one of all rotations.

    Q = diag(s) H / √n    s_i = ±1           n random bits; applied in n log n
    Q = U diag(sign R_ii)  of Z = U R         Haar: as likely as any other rotation

Signs alone change no size. Before H they make the sums of H random: a row that lines up
with one of H's would be gathered into one coordinate, and with random signs none is.
The second needs the signs of R: U alone is not uniform, for a QR routine chooses them.

Read in order: `random_signs`, `random_hadamard`, `random_orthogonal`.  Taught in
notebooks/07.
Sources: Ashkboos et al. 2024, "QuaRot", arXiv:2404.00456, section 3; Mezzadri 2007,
"How to generate random matrices from the classical compact groups",
arXiv:math-ph/0609050.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lib.quant.rotations.hadamard import hadamard_matrix


def random_signs(n: int, generator: torch.Generator) -> Float[Tensor, " n"]:
    """n numbers of ±1 in float64, drawn evenly."""
    return 2.0 * torch.randint(2, (n,), generator=generator).double() - 1.0


def random_hadamard(n: int, generator: torch.Generator) -> Float[Tensor, "n n"]:
    """diag(s) H / √n in float64; ValueError where n has no Hadamard matrix of ours."""
    signs = random_signs(n, generator)
    return signs[:, None] * hadamard_matrix(n).double() / n**0.5


def random_orthogonal(n: int, generator: torch.Generator) -> Float[Tensor, "n n"]:
    """An orthogonal matrix in float64 by Haar's measure, for any n."""
    z = torch.randn(n, n, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(z)
    return q * r.diagonal().sign()
