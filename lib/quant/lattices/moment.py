"""A lattice's second moment: the mean squared error of rounding to it, a dimension.

    G = 1/n · ∫_V ‖x‖² dx / vol(V)^(1 + 2/n),      V the cell of points nearest to 0

Z has 1/12 = 0.0833, E8 929/12960 = 0.0717, and no lattice falls below 1/(2πe) = 0.0585.
The cell of a root lattice is cut by the reflections in its roots into copies of one
simplex, whose corners are 0 and ϖ_i / m_i: the fundamental weights over the marks, the
highest root's coefficients. A simplex with corners v_0 = 0, …, v_n has

    mean ‖x‖² = ( ‖Σ v_i‖² + Σ ‖v_i‖² ) / ((n + 1)(n + 2))

and ϖ_i · ϖ_j is an entry of the inverse Cartan matrix. So rational numbers suffice.

Read in order: `second_moment`, `sampled_moment`; the lattices are in nearest.py.
Source: Conway & Sloane 1999, "Sphere Packings, Lattices and Groups", chapter 21,
sections 2 and 3, and theorem 5.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

Edges = Sequence[tuple[int, int]]  # of a Dynkin diagram, nodes 0 … n − 1
E8_EDGES: Edges = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (4, 7))


def dn_edges(n: int) -> Edges:
    """The diagram of Dₙ: a path whose last node but one has two ends.

    ValueError for n below 4, where Dₙ is another lattice.
    """
    if n < 4:
        raise ValueError(f"n={n}: D_n has a diagram of its own from 4 on")
    return [(i, i + 1) for i in range(n - 2)] + [(n - 3, n - 1)]


def second_moment(edges: Edges) -> tuple[Fraction, int]:
    """The cell's mean ‖x‖² / n, exactly, and the lattice's determinant, vol(V)².

    G is the first over the second to the power 1/n; E8's determinant is 1. The roots
    have length √2. ValueError for a graph that is no tree of a finite root lattice.
    """
    n = len(edges) + 1
    cartan = 2 * torch.eye(n, dtype=torch.float64)
    for i, j in edges:
        cartan[i, j] = cartan[j, i] = -1
    if torch.linalg.eigvalsh(cartan)[0] < 1e-9:
        raise ValueError(f"{n} nodes with edges {list(edges)}: no root lattice")
    determinant = round(torch.linalg.det(cartan).item())
    adjugate = (torch.linalg.inv(cartan) * determinant).round().long().tolist()
    marks = _highest_root(cartan.long())
    gram = [
        [Fraction(adjugate[i][j], determinant * marks[i] * marks[j]) for j in range(n)]
        for i in range(n)
    ]
    total = sum(map(sum, gram)) + sum(gram[i][i] for i in range(n))
    return total / (n * (n + 1) * (n + 2)), determinant


def _highest_root(cartan: Tensor) -> list[int]:
    """Its coefficients: add simple roots for as long as the sum stays a root."""
    root = torch.zeros(len(cartan), dtype=torch.long)
    root[0] = 1
    while ((pairing := cartan @ root) < 0).any():
        root[int(pairing.argmin())] += 1
    return root.tolist()


class Estimate(NamedTuple):
    """A mean, and the half width of its 95 % interval."""

    mean: float
    margin: float


def sampled_moment(
    nearest: Callable[[Tensor], Tensor],
    n: int,
    *,
    samples: int = 100_000,
    seed: int = 0,
) -> Estimate:
    """Mean ‖x − nearest(x)‖² / n over uniform x: any lattice that contains (2Z)ⁿ.

    A cube of side 2 then holds every cell's points equally often. Works in float64.
    """
    draw = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(samples, n, generator=draw, dtype=torch.float64)
    error = (x - nearest(x)).square().mean(1)
    return Estimate(error.mean().item(), 1.96 * (error.std() / samples**0.5).item())
