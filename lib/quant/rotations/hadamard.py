"""Hadamard matrices: orthogonal, and every entry is ±1.

    H Hᵀ = n I exactly, so that H / √n is a rotation (or a rotation and a reflection)
    Sylvester    H₂ₙ = H₂ ⊗ Hₙ,                     H₂ = [[1, 1], [1, −1]]
    Paley I      H = I + S           of q + 1,      q = 3 mod 4, S = [[0, 1], [−1, Q]]
    Paley II     H = S ⊗ H₂ + I ⊗ D  of 2 (q + 1),  q = 1 mod 4, S = [[0, 1], [1, Q]]
                                                    D = [[1, −1], [−1, −1]]

q is a prime power, and Q_ij = χ(a_i − a_j) over the field of q elements: χ is 1 for a
square, −1 for what is no square, 0 for 0. A product of sizes is a size as well: the
Kronecker product of Hadamard matrices is one. So 576 = 12 · 12 · 2 · 2 has one, and 9
has none (beyond 2, a size must be a multiple of 4). One coordinate of 1 becomes n
coordinates of ±1 / √n: nothing spreads a single outlier further.

A Kronecker product is applied factor by factor, each along an axis of its own: that is
n (f₁ + f₂ + …) multiplications, n log₂ n additions where every factor is 2.

Read in order: `hadamard_factors`, `hadamard_matrix`, `hadamard_transform`,
`inverse_hadamard_transform`.  Taught in notebooks/07.
Sources: Sylvester 1867; Paley 1933, "On orthogonal matrices", J. Math. Phys. 12; for
compression, Ashkboos et al. 2024, "QuaRot", arXiv:2404.00456, section 3.
"""

from functools import cache
from itertools import product
from math import isqrt

import torch
from jaxtyping import Float
from torch import Tensor

SEARCH = 4  # sizes away, in multiples of 4, at which an error looks for a better size


@cache
def hadamard_factors(n: int) -> tuple[int, ...]:
    """Sizes, largest first, whose product is n, each 2 or of Paley: the least sum.

    ValueError where no product of these sizes is n; it names the nearest that is one.
    """
    if found := _factors(n):
        return () if n == 1 else found
    step = [4 * (n // 4 + k) for k in range(1 - SEARCH, SEARCH + 1)]
    near = sorted(
        (size for size in (1, 2, *step) if _factors(size)), key=lambda s: abs(s - n)
    )
    raise ValueError(
        f"n={n} is no product of the sizes of Sylvester's and Paley's Hadamard "
        f"matrices; near it are {sorted(near[:2])}"
    )


@cache
def _factors(n: int) -> tuple[int, ...] | None:
    """As `hadamard_factors`, (1,) for 1, and None where there is no product."""
    if n in (1, 2):
        return (n,)
    if n < 4 or n % 4:
        return None
    found = []
    for size in [2, *range(4, isqrt(n) + 1, 4)]:
        if (
            n % size == 0
            and (size == 2 or _paley(size))
            and (rest := _factors(n // size))
        ):
            found.append(tuple(sorted((size, *rest), reverse=True)))
    if _paley(n):
        found.append((n,))
    return min(found, key=sum, default=None)


def hadamard_matrix(n: int) -> Float[Tensor, "n n"]:
    """H in float32, whose entries are ±1 and H Hᵀ = n I; not symmetric in general.

    Divide by √n for a rotation. ValueError as `hadamard_factors`.
    """
    matrix = torch.ones(1, 1)
    for size in hadamard_factors(n):
        matrix = torch.kron(matrix, _base(size))
    return matrix


def hadamard_transform(x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """H x / √n along the last dimension: of the same norm and dtype as x.

    The sums of half precision run in float32. ValueError as `hadamard_factors`.
    """
    return _transform(x, [_base(size) for size in hadamard_factors(x.shape[-1])])


def inverse_hadamard_transform(
    x: Float[Tensor, "*batch n"],
) -> Float[Tensor, "*batch n"]:
    """Hᵀ x / √n, which undoes `hadamard_transform`. ValueError as there."""
    return _transform(x, [_base(size).T for size in hadamard_factors(x.shape[-1])])


def _transform(x: Tensor, factors: list[Tensor]) -> Tensor:
    """(F₁ ⊗ F₂ ⊗ …) x / √n: each factor along its own axis, the rest as a batch."""
    n = right = x.shape[-1]
    y = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    for factor in factors:
        size = len(factor)
        right //= size
        y = y.reshape(-1, size, right)
        if size == 2:
            y = torch.stack((y[:, 0] + y[:, 1], y[:, 0] - y[:, 1]), 1)
        else:
            y = factor.to(y) @ y
    return (y.reshape(x.shape) / n**0.5).to(x.dtype)


@cache
def _base(size: int) -> Float[Tensor, "size size"]:
    """The matrix of one factor: 2, or one of Paley's."""
    two = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    if size == 2:
        return two
    p, degree, kind = _paley(size)
    jacobsthal = _jacobsthal(p, degree)
    s = torch.ones(len(jacobsthal) + 1, len(jacobsthal) + 1)
    s[1:, 1:] = jacobsthal
    s[0, 0] = 0
    if kind == 1:
        s[1:, 0] = -1
        return torch.eye(size) + s
    diagonal = torch.tensor([[1.0, -1.0], [-1.0, -1.0]])
    return torch.kron(s, two) + torch.kron(torch.eye(len(s)), diagonal)


@cache
def _paley(size: int) -> tuple[int, int, int] | None:
    """(p, degree, 1 or 2) where Paley's construction I or II of p^degree has `size`."""
    for kind, q in ((1, size - 1), (2, size // 2 - 1)):
        if q % 4 == (3 if kind == 1 else 1) and (power := _prime_power(q)):
            return *power, kind
    return None


def _prime_power(q: int) -> tuple[int, int] | None:
    """(p, degree) with q = p^degree and p a prime, or None."""
    if q < 3:
        return None
    p = next((d for d in range(2, isqrt(q) + 1) if q % d == 0), q)
    degree = 0
    while q % p == 0:
        q, degree = q // p, degree + 1
    return (p, degree) if q == 1 else None


def _jacobsthal(p: int, degree: int) -> Float[Tensor, "q q"]:
    """Q_ij = χ(a_i − a_j); a_i is the polynomial whose coefficients are i's digits."""
    places = p ** torch.arange(degree)
    digits = torch.arange(p**degree)[:, None] // places % p
    difference = (digits[:, None] - digits[None]) % p  # (q, q, degree)
    return _character(p, degree)[(difference * places).sum(-1)]


def _character(p: int, degree: int) -> Float[Tensor, " q"]:
    """χ of each element. The even powers of a generator are the squares.

    A field of p^degree is the polynomials modulo one for which x is a generator: try
    x^degree = c_0 + c_1 x + … until the powers of x reach every element but 0.
    """
    for c in product(range(p), repeat=degree):
        element, one = (0,) * degree, (1,) + (0,) * (degree - 1)
        powers = [one]
        while True:
            *low, top = powers[-1]
            element = tuple(
                (a + top * b) % p for a, b in zip((0, *low), c, strict=True)
            )
            if element == one or not any(element) or len(powers) == p**degree:
                break
            powers.append(element)
        if element == one and len(powers) == p**degree - 1:
            break
    character = torch.zeros(p**degree)
    for exponent, digits in enumerate(powers):
        index = sum(digit * p**place for place, digit in enumerate(digits))
        character[index] = 1.0 if exponent % 2 == 0 else -1.0
    return character
